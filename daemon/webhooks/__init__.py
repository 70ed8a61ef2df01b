"""The sender: sign, POST, classify the answer."""
