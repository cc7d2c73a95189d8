"""The command line: `vaka`, also `kubectl vaka`."""
