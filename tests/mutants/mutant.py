"""A guard taken out of the code, and the test that must turn red."""

from dataclasses import dataclass

#: Lines of docs/design.md, by what they promise.
LOST = "1. **Nothing is lost.**"
ONCE = "2. **Every result is recorded once**"
REPEATED = "3. **A submit can be repeated.**"
ALONE = "4. **A bad item harms only itself.**"
FLAT = "5. **Memory stays flat**"
TRUE = "6. **Every figure shown is true.**"
NO_WAY_IN = "7. **No way in by default**"
FAIR = "A small batch behind a huge one waits for one window"
BOUNDED = "**A call does a bounded part of what is due.**"
FIRED = "**A schedule is data on the server, and any live worker fires it.**"
SEEN = "**A subscription tells a death from silence.**"
TOLD = "**A notice is data on the server, and any live worker sends it.**"
IN_TIME = "**A message with a delay waits on the server.**"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A guard taken out: in `path`, `text` (which stands there once) becomes `mutation`; `test` has to fail then.

    `promise` begins the line of docs/design.md that no longer holds without the guard.
    """

    name: str
    path: str
    text: str
    mutation: str
    test: str
    promise: str
