"""The OpenAPI document: made from the routes that serve and the types that validate, for other people's tools."""
