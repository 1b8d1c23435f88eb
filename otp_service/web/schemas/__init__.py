"""The public JSON: each struct validates or writes it, and stands in the OpenAPI document under its name."""
