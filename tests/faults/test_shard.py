import pytest

from clipact.errors import CampaignError
from clipact.faults._shard import Shard

ARRAY = "SLURM_ARRAY_TASK"


def slurm(task, first, last, count):
    numbers = {"ID": task, "MIN": first, "MAX": last, "COUNT": count}
    return {f"{ARRAY}_{name}": str(number) for name, number in numbers.items()}


@pytest.mark.parametrize("count", [1, 2, 3, 7, 16])
def test_shards_have_every_trial_once(count):
    shards = [Shard(index, count) for index in range(count)]
    for trial in range(100):
        assert sum(shard.picks(trial) for shard in shards) == 1


def test_a_shard_is_read_and_written_alike():
    assert Shard.parse("2/8") == Shard(2, 8)
    assert Shard.parse(" 0/1\n") == Shard(0, 1)
    assert str(Shard.parse("3/4")) == "3/4"


@pytest.mark.parametrize("text", ["", "3", "1/", "/4", "-1/4", "1/4/2", "a/b", "1.0/4", "\u0661/4"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(CampaignError, match="is not a shard; write index/count"):
        Shard.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [("4/4", "there is no shard 4 of 4; they are counted from 0 to 3"), ("0/0", "not 0")],
)
def test_a_shard_that_is_not_there_is_refused(text, message):
    with pytest.raises(CampaignError, match=message):
        Shard.parse(text)


@pytest.mark.parametrize(
    ("environ", "shard"),
    [
        (slurm(0, 0, 15, 16), "0/16"),
        (slurm(15, 0, 15, 16), "15/16"),
        (slurm(1, 1, 16, 16), "0/16"),
        ({"RANK": "3", "WORLD_SIZE": "4"}, "3/4"),
        ({"JOB_COMPLETION_INDEX": "2", "JOB_COMPLETIONS": "5"}, "2/5"),
    ],
)
def test_schedulers_say_which_shard_it_is(environ, shard):
    assert Shard.from_environment(environ) == Shard.parse(shard)


@pytest.mark.parametrize(
    ("environ", "shard"),
    [
        (slurm(3, 3, 3, 1), "3/16"),
        ({"JOB_COMPLETION_INDEX": "2"}, "2/16"),
        ({"RANK": "3", "WORLD_SIZE": "4"}, "3/16"),
    ],
)
def test_a_given_count_goes_before_the_schedulers(environ, shard):
    assert Shard.from_environment(environ, count=16) == Shard.parse(shard)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "no scheduler says which shard this is"),
        ({"RANK": "0"}, "WORLD_SIZE is not set"),
        ({"JOB_COMPLETION_INDEX": "2"}, "JOB_COMPLETIONS is not set.*give count="),
        ({"RANK": "first", "WORLD_SIZE": "4"}, "RANK is 'first', not a number"),
        ({"RANK": "4", "WORLD_SIZE": "4"}, "no shard 4 of 4"),
        (slurm(3, 3, 3, 1), "1 tasks from 3 to 3.*repeats some of another"),
        (slurm(3, 0, 7, 2), "2 tasks from 0 to 7"),
        ({**slurm(0, 0, 1, 2), "RANK": "0", "WORLD_SIZE": "2"}, "SLURM_ARRAY_TASK_ID and RANK are"),
    ],
)
def test_what_does_not_say_it_for_sure_is_refused(environ, message):
    with pytest.raises(CampaignError, match=message):
        Shard.from_environment(environ)


def test_the_environment_of_the_process_is_the_default(monkeypatch):
    for name in (f"{ARRAY}_ID", "JOB_COMPLETION_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert Shard.from_environment() == Shard(1, 2)
