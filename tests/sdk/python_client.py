"""A data scientist on the Python that runs this: packs a model, publishes it, and waits for its image.

`python_client.py URL NAME PLATFORM [FOLDER]` prints the job's state and result as JSON; FOLDER gets the image's tar.
The account at the service's registry, if that asks for one, is in REGISTRY_USER and REGISTRY_PASS.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import chassis


def process(content: bytes) -> dict[str, object]:
    """Says what it runs on; both texts are the build's and the image's, equal if the pickle fits."""
    return {"python": f"{sys.version_info.major}.{sys.version_info.minor}", "size": len(content)}


def main(url: str, name: str, platform: str, folder: str = "") -> None:
    client = chassis.ChassisClient(url)
    try:
        model = client.create_model(process_fn=process)
        assert [json.loads(output["results.json"])["size"] for output in model.test(b"1234")] == [4]
        user, password = (os.environ.get(variable) for variable in ("REGISTRY_USER", "REGISTRY_PASS"))
        published = model.publish(name, "0.0.1", registry_user=user, registry_pass=password, platforms=[platform])
        job = client.block_until_complete(str(published["job_id"]), poll_interval=0.1)
        if folder and job["status"]["state"] == "succeeded":
            client.download_tar(str(job["job_id"]), Path(folder) / "image.tar")
    finally:
        client.close()
    print(json.dumps({"status": job["status"], "result": job["result"], "logs": job.get("logs", "")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
