"""The words of the project as types. Imports nothing of ours and nothing of Dagster."""
