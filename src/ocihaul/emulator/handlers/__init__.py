"""The operations of the API, each a function of the service and one call."""
