"""A mix as Parquet record shards and content-addressed image shards with a manifest, and back."""

from .manifest import read_manifest, verify
from .read import images, read, unpack
from .run import run_shard
from .settings import ShardReport, ShardSettings

__all__ = ["ShardReport", "ShardSettings", "images", "read", "read_manifest", "run_shard", "unpack", "verify"]
