"""
Ways to break a mail on purpose, each a function of a random generator and a size in bytes.

The size is what the mail is about; a class whose point is a count takes as many as fit. The same generator state gives
the same bytes. `tests/support/hostile_mail.py` has the single pieces repeated in single places; here they are put
together as those who write such mail put them together.
"""

from tests.fuzz import content, header, structure
from tests.fuzz.pieces import CLASSES

__all__ = ["CLASSES", "content", "header", "structure"]
