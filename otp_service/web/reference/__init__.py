"""GET /docs: the OpenAPI document as a page for people. No script runs in it, and it loads nothing."""
