"""What of the Helm chart is generated, from here and from the API's source."""
