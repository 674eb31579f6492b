"""What wraps every operation, the same for both doors: journal, authentication, decoding, bounds."""
