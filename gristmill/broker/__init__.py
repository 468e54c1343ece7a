"""Messages only: a kombu transport on Redis streams.

Importing this package tells kombu its schemes, and has a Celery that is loaded say when a worker is built.

```python
import gristmill.broker

app = Celery("shop", broker="gristmill://localhost/0", backend="redis://localhost/0")
```
"""

import sys

from kombu.transport import TRANSPORT_ALIASES

from gristmill.broker.address import SCHEMES

TRANSPORT_ALIASES.update(dict.fromkeys(SCHEMES, "gristmill.broker.transport:Transport"))

# Else with the first connection: commands that only read do not load Celery. A worker of greenlets makes no connection
# before it is built.
if "celery" in sys.modules:
    from gristmill.broker.equipment import watch_workers

    watch_workers()
