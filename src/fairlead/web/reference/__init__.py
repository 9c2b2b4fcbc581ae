"""The API's own document, in OpenAPI 3.1: from the code's operations and from two tables of words."""
