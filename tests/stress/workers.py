"""Clients that do at random whatever a mail client does, and note all of it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from tests.stress import soap
from tests.stress.client import Shared
from tests.stress.folderclient import FolderClient
from tests.stress.mailclient import GONE, MailClient
from tests.stress.wire import LostAnswerError, WrongAnswerError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable


class Worker(MailClient, FolderClient, threading.Thread):
    """One client of one mailbox. The mails that it made are its own; the pot and the tally are everybody's."""

    def __init__(self, number: int, shared: Shared, chance: random.Random, token: str, until: float) -> None:
        """Work until the monotonic clock says `until`."""
        threading.Thread.__init__(self, name=f"worker-{number}")
        super().__init__(number, shared, chance, token)
        self._until = until
        self._basket = ""
        self._work: list[tuple[int, Callable[[], None]]] = [
            (10, self._arrive),
            (3, self._arrive_at_several),
            (4, self._arrive_by_admin),
            (14, self._save),
            (10, self._send_new),
            (8, self._send_draft),
            (12, self._update),
            (12, self._move),
            (6, self._copy),
            (10, self._delete),
            (5, self._attach),
            (3, self._detach),
            (4, self._make_folder),
            (2, self._delete_folder),
            (2, self._move_folder),
            (2, self._empty_folder),
            (3, self._mark_read),
            (6, self._read),
            (3, self._list),
            (3, self._ask_for_the_gone),
            (8, self._count_up),
            (8, self._grab),
        ]

    def run(self) -> None:
        """Do one thing after the other; what goes wrong unexpectedly is a problem, and ends nothing."""
        weights = [weight for weight, _ in self._work]
        while time.monotonic() < self._until:
            (do,) = self._chance.choices([work for _, work in self._work], weights)
            name = do.__name__.strip("_")
            try:
                if not self._basket:
                    self._basket = self._new_folder(f"basket-{self._number}")
                do()
                self._journal.count(name)
            except LostAnswerError:
                self._journal.count("lost")
            except WrongAnswerError as error:
                self._journal.problem(f"{name}: {error}")
            except Exception as error:  # noqa: BLE001 - a thread that ends would only look like less work
                self._journal.problem(f"{name}: {type(error).__name__} {error}")
        self._link.close()

    # What all do to the same items

    def _count_up(self) -> None:
        tally = self._shared.tallies[self._mailbox]
        (answer,) = self._link.call(soap.get([tally]))
        (item,) = soap.shown_items(answer.node)
        key = soap.attribute(item, "ChangeKey")
        try:
            (answer,) = self._link.call(soap.update(tally, key, soap.stamp_of(item) + 1))
        except LostAnswerError:
            self._journal.tally(self._mailbox, unknown=1)
            raise
        if answer.done:
            self._journal.tally(self._mailbox, answered=1)
        elif answer.code == "ErrorIrresolvableConflict":
            self._journal.refused("UpdateItem", answer.code)
        else:
            self._journal.problem(f"UpdateItem: {answer.code}")

    def _grab(self) -> None:
        (answer,) = self._link.call(soap.find([self._shared.pots[self._mailbox]], page=20))
        items = soap.shown_items(answer.node)
        if len(items) < 10:
            message_id = self._identity("pot")
            self._journal.into_pot(self._mailbox, message_id)
            item = soap.message(message_id, mime=self._mime(message_id))
            self._journal.doubtful_pots.add(message_id)
            (answer,) = self._link.call(soap.create("SaveOnly", item, self._shared.pots[self._mailbox]))
            self._done(answer, "CreateItem")
            self._journal.doubtful_pots.discard(message_id)
        if not items:
            return
        item_ = self._chance.choice(items[:4])
        message_id = soap.identity_of(item_)
        self._journal.grabs(self._mailbox, message_id, self._basket)
        (answer,) = self._link.call(soap.transfer("MoveItem", [soap.attribute(item_, "Id")], self._basket))
        if not answer.done:
            if answer.code not in GONE:
                self._journal.problem(f"MoveItem: {answer.code}")
            self._journal.refused("MoveItem", answer.code)
        self._journal.taken(self._mailbox, message_id, self._basket, mine=answer.done)
