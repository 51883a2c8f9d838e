"""Reading lists from a command line."""


def listed(text: str) -> tuple[str, ...]:
    """The words between the commas, without spaces around them; empty ones are left out."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
