"""Messages only: a kombu transport on Redis streams.

Importing this package tells kombu its schemes, and has Celery say when a worker is built, which may be one of ours.

```python
import gristmill.broker

app = Celery("shop", broker="gristmill://localhost/0", backend="redis://localhost/0")
```
"""

from typing import Any

from celery.signals import worker_init
from kombu.transport import TRANSPORT_ALIASES

from gristmill.broker.address import SCHEMES

TRANSPORT_ALIASES.update(dict.fromkeys(SCHEMES, "gristmill.broker.transport:Transport"))


def _equip(sender: Any, **_: Any) -> None:
    from gristmill.broker.transport import equip

    equip(sender)


# Not with the first connection: a worker of greenlets makes none before it says that it is built.
worker_init.connect(_equip, weak=False, dispatch_uid=_equip.__module__)
