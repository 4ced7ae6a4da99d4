"""Words that every command says alike."""


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "clip"), counted(3, "clip")
    ('1 clip', '3 clips')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
