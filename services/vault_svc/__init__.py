"""The vault: secrets of a grid, encrypted at rest and handed to the services that use them."""
