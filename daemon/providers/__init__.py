"""Provider definitions (data), and the HTTP client that reads answers by them."""
