"""What else is done with requests and answers, once they are answered and whatever becomes of it."""
