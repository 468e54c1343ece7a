import sys, tempfile, time
from pathlib import Path
from tests.model.calls import RecordingClient
from tests.model.explorer import Explorer
from tests.model.product import scripts_edited
from tests.model.world import Scenario
from tests.support.servers import running, PASSWORD
from gristmill.server.private import _binary
import cProfile, pstats
sc = eval(sys.argv[1]); lim = float(sys.argv[2]) if len(sys.argv)>2 else 60
with tempfile.TemporaryDirectory() as d:
    sock=f"{d}/s"
    with running(str(_binary()), Path(d), appendonly="no", unixsocket=sock):
        t=RecordingClient(unix_socket_path=sock,password=PASSWORD,decode_responses=True,db=1)
        with scripts_edited(lambda text: text):
            e=Explorer(t)
            pr=cProfile.Profile()
            if len(sys.argv)>3: pr.enable()
            print(e.explore(sc, most_seconds=lim))
            import resource; print('cpu', resource.getrusage(resource.RUSAGE_SELF)[:2], 'server', [b for a,b in t.send([(('INFO','cpu'),{})])[0].items()][:2] if 0 else t.send([(('INFO','cpu'),{})]))
            if len(sys.argv)>3: pr.disable(); pstats.Stats(pr).sort_stats("tottime").print_stats(35)
