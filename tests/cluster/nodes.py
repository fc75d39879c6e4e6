"""Two nodes of one core, until stdin closes: `python -m cluster.nodes`.

A line of JSON says where: {"address", "raylet": process id of the second node's}.
"""

import json
import logging
import sys

from ray.cluster_utils import Cluster


def main() -> None:
    """Every process listens on the loopback interface, as the environment tells Ray."""
    logging.disable()
    head = {"num_cpus": 1, "include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    second = cluster.add_node(num_cpus=1)
    (raylet,) = second.all_processes["raylet"]
    print(json.dumps({"address": cluster.address, "raylet": raylet.process.pid}), flush=True)
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main()
