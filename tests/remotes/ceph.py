"""A real S3 server: Ceph's gateway, a monitor and one object store in memory, all on 127.0.0.1."""

import uuid
from pathlib import Path
from typing import Any

from tests.remotes.servers import HOST, Store, free_port

CEPH = """\
[global]
fsid = {fsid}
mon_host = v2:127.0.0.1:{monitor}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
mon_allow_pool_size_one = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_max_pg_per_osd = 1000
# Start in 1 s and not in 12: each pool that radosgw makes waits for a proposal.
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
run_dir = {folder}
admin_socket = {folder}/$name.asok
pid_file = {folder}/$name.pid
log_file = {folder}/$name.log
keyring = {folder}/keyring
mon_data = {folder}/monitor
# Else the monitor ends where less than 5 % of the disk is free.
mon_data_avail_crit = 0
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 1073741824
rgw_data = {folder}/gateway
rgw_frontends = beast endpoint=127.0.0.1:{port}
"""


class S3(Store):
    """Ceph's S3 gateway over one object store in memory."""

    programs = ("setpriv", "ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
    modules = ("dvc_s3",)
    packages = "util-linux ceph-base ceph-mon ceph-osd radosgw"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.monitor = free_port()
        self.client: Any = None

    def start(self) -> None:
        if not self.client:
            self.start_cluster()
        self.serve("radosgw", "-n", "client.rgw", "-f")
        self.wait(self.port)
        if not self.client:
            keys = self.credentials()
            user = ("--uid=reader", "--display-name=Reader", f"--access-key={keys['access_key_id']}")
            self.run("radosgw-admin", "user", "create", *user, f"--secret-key={keys['secret_access_key']}")
            from botocore.session import get_session

            self.client = get_session().create_client(
                "s3",
                "us-east-1",
                endpoint_url=f"http://{HOST}:{self.port}",
                aws_access_key_id=keys["access_key_id"],
                aws_secret_access_key=keys["secret_access_key"],
            )

    def run(self, *command: str | Path) -> str:
        return super().run(*command[:1], "--conf", self.folder / "ceph.conf", *command[1:])

    def serve(self, *command: str | Path) -> None:
        super().serve(*command, "--conf", self.folder / "ceph.conf")

    def start_cluster(self) -> None:
        fsid, keyring, monitors = str(uuid.uuid4()), self.folder / "keyring", self.folder / "monmap"
        (self.folder / "ceph.conf").write_text(
            CEPH.format(fsid=fsid, folder=self.folder, port=self.port, monitor=self.monitor)
        )
        for name in ("monitor", "osd", "gateway"):
            (self.folder / name).mkdir()
        for name in ("mon.", "client.admin", "client.rgw", "osd.0"):
            allowed = [part for daemon in ("mon", "osd") for part in ("--cap", daemon, "allow *")]
            new = [] if keyring.exists() else ["--create-keyring"]
            super().run("ceph-authtool", *new, keyring, "--gen-key", "-n", name, *allowed)
        super().run("monmaptool", "--create", "--addv", "a", f"v2:{HOST}:{self.monitor}", "--fsid", fsid, monitors)
        self.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monitors)
        self.serve("ceph-mon", "-i", "a", "-f")
        self.wait(self.monitor)
        self.run("ceph", "osd", "create")
        self.run("ceph", "osd", "crush", "add", "osd.0", "1.0", "root=default", f"host={HOST}")
        self.run("ceph-osd", "-i", "0", "--mkfs")
        self.serve("ceph-osd", "-i", "0", "-f")

    def go_down(self) -> None:
        """Stop the gateway alone: the cluster's memory holds the objects."""
        gateway = self.running.pop()
        gateway.kill()
        gateway.wait()

    def make(self, store: str) -> None:
        self.client.create_bucket(Bucket=store)

    def address(self, store: str) -> str:
        return f"s3://{store}/data"

    def credentials(self) -> dict[str, str]:
        return {"access_key_id": "reader", "secret_access_key": "secret"}

    def wrong_credentials(self) -> dict[str, str]:
        return {"access_key_id": "reader", "secret_access_key": "guessed"}

    def key(self, md5: str) -> str:
        return f"data/files/md5/{md5[:2]}/{md5[2:]}"

    def objects(self, store: str) -> dict[str, int]:
        listed = self.client.list_objects_v2(Bucket=store).get("Contents", [])
        return {"".join(each["Key"].split("/")[-2:]): each["Size"] for each in listed}

    def arrived(self, store: str) -> set[str]:
        uploads = self.client.list_multipart_uploads(Bucket=store).get("Uploads", [])
        return set(self.objects(store)) | {each["UploadId"] for each in uploads}

    def replace(self, store: str, md5: str, content: bytes) -> None:
        self.client.put_object(Bucket=store, Key=self.key(md5), Body=content)

    def remove(self, store: str, md5: str) -> None:
        self.client.delete_object(Bucket=store, Key=self.key(md5))
