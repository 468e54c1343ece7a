"""Messages only: a kombu transport on Redis streams. Importing this package tells kombu its schemes, and nothing else.

```python
import gristmill.broker

app = Celery("shop", broker="gristmill://localhost/0", backend="redis://localhost/0")
```
"""

from kombu.transport import TRANSPORT_ALIASES

from gristmill.broker.address import SCHEMES

TRANSPORT_ALIASES.update(dict.fromkeys(SCHEMES, "gristmill.broker.transport:Transport"))
