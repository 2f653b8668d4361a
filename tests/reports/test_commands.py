"""The commands that show existing data, typed as a user would type them."""

import json
import re
import shutil

from tests.cli.test_cli import avsynth, refused


def test_a_dataset_is_counted_and_a_sample_shown(built, tmp_path):
    counted = avsynth("stats", cwd=built)
    assert counted.returncode == 0, counted.stderr
    assert re.search(r"^dog +█+ +\d+", counted.stdout, re.MULTILINE)
    index = json.loads((built / "data/shards/avs-synthetic/index.json").read_text())
    key = index["shards"][0]["keys"][0]
    shown = avsynth("show", key, "--out", tmp_path, cwd=built)
    assert shown.returncode == 0, shown.stderr
    assert "7.5 kHz" in shown.stdout
    assert (tmp_path / f"{key}.overlay.png").is_file()


def test_runs_are_reported_and_compared(reported, tmp_path):
    root = tmp_path / "project"
    shutil.copytree(reported.root, root)
    made = avsynth("report", "-S", "report.draws=20", cwd=root)
    assert made.returncode == 0, made.stderr
    assert re.match(r"report: [\d,]+ ok", made.stdout)
    compared = avsynth("compare", "test/save", "test/sama_avs", cwd=root)
    assert compared.returncode == 0, compared.stderr
    assert re.search(
        r"^all +\d+\.\d +\d+\.\d +[+−]\d+\.\d +\S+ … \S+ +\d", compared.stdout, re.MULTILINE
    )


def test_faults_are_one_message_and_exit_code_2(reported):
    root = reported.root
    refused(avsynth("show", "unicorn", cwd=root), "expected a key; found 'unicorn'")
    refused(avsynth("compare", "test/svae", "test/save", cwd=root), "Did you mean 'test/save'")
    refused(avsynth("stats", "--dataset", "s4", cwd=root), "the index of a dataset")
    refused(avsynth("gallery", "--split", "tets", cwd=root), "samples to show")
    absent = avsynth("segment", "a.jpg", "a.wav", "--model", "train/none", cwd=root)
    refused(absent, "a checkpoint file; found no such file")
