"""The JSON of the API: structs, and their conversion from and to the values of the core."""
