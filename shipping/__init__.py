"""What makes packages of Pollhook, and what tries them."""
