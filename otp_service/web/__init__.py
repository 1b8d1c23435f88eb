"""The HTTP surface. Each file is a slice; `app` is the thin Flask edge around plain functions."""
