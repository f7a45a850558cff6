"""How the models of this repository were made and measured; not shipped. See README.md beside this file."""
