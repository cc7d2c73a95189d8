"""Pure: what the children of a resource show, turned into its status."""
