"""Other people's tools on the API document: `python -m tests.api_tools --node DIR --python DIR`."""
