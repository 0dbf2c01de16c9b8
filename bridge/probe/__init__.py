"""
What a real Exchange does where the sandbox guesses: `bridge probe-exchange`.

`guesses` lists every guess of docs/sandbox-guesses.md with how it is checked. A step (modules `steps_*`) does what the
guess describes on a test mailbox and says what it saw, in words that hold nothing private. `ground` is where it writes.
"""
