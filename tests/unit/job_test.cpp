#include <doctest/doctest.h>

#include <unistd.h>
#include <algorithm>

#include "base/file.hpp"
#include "base/text.hpp"
#include "job/catalogue.hpp"
#include "job/distribution.hpp"
#include "job/read.hpp"
#include "job/resolve.hpp"
#include "random_job.hpp"

using namespace dtrain;
using namespace dtrain::job;

namespace {

const std::string least = "model: {layers: [{dense: 10}]}\n";

std::string told(const std::string& text, const std::vector<Override>& overrides = {}) {
  return render(read_job(text, "a.yaml", overrides));
}

/// What is told about a job that is sound but for these lines.
std::string told_beside_model(const std::string& lines, const std::vector<Override>& overrides = {}) {
  return told(least + lines, overrides);
}

Job sound(const std::string& text, const std::vector<Override>& overrides = {}) {
  const ReadResult result = read_job(text, "a.yaml", overrides);
  INFO(render(result));
  REQUIRE(result.ok());
  return result.job;
}

fs::path source_root() { return fs::path(__FILE__).parent_path().parent_path().parent_path(); }

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

/// "train.batch" and "x" make "{train: {batch: x}}"; in a list of maps a whole one comes first.
std::string nested(const std::string& path, const std::string& value) {
  std::string text = value;
  std::vector<std::string> parts = split(path, '.');
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (part->ends_with("[]")) {
      const std::string list = part->substr(0, part->size() - 2), whole = list == "layers"  ? "{dense: 3}"
                                                                          : list == "hosts" ? "{host: b}"
                                                                                            : "{names: [a]}";
      text = "{" + list + ": [" + whole + ", " + text + "]}";
    } else {
      text = "{" + *part + ": " + text + "}";
    }
  }
  return text;
}

}  // namespace

TEST_CASE("two mistakes in one job are both told, with line, column and caret, to the letter") {
  CHECK(told("model:\n"
             "  layers:\n"
             "    - dense: 10\n"
             "train:\n"
             "  batch: -3\n"
             "  optimizer:\n"
             "    learnig_rate: 5e-2\n") ==
        "a.yaml:5:10: error: train.batch must be at least 1, got -3\n"
        "    5 |   batch: -3\n"
        "      |          ^~\n"
        "a.yaml:7:5: error: unknown key 'learnig_rate' in train.optimizer; did you mean 'learning_rate'?\n"
        "    7 |     learnig_rate: 5e-2\n"
        "      |     ^~~~~~~~~~~~\n"
        "2 errors\n");
}

TEST_CASE("one mistake ends without a tally") {
  CHECK(told_beside_model("seed: x\n") ==
        "a.yaml:2:7: error: seed must be an integer, got 'x'\n"
        "    2 | seed: x\n"
        "      |       ^\n");
}

TEST_CASE("an unknown key says what was meant, where it lives, or what there is") {
  CHECK(told_beside_model("trian: {}\n") ==
        "a.yaml:2:1: error: unknown key 'trian'; did you mean 'train'?\n"
        "    2 | trian: {}\n"
        "      | ^~~~~\n");
  CHECK(told_beside_model("topology: {batch: 3}\n") ==
        "a.yaml:2:12: error: unknown key 'batch' in topology; there is a key train.batch\n"
        "    2 | topology: {batch: 3}\n"
        "      |            ^~~~~\n");
  CHECK(told_beside_model("faults: {inject: {breadth: 3}}\n") ==
        "a.yaml:2:19: error: unknown key 'breadth' in faults.inject; the keys here are compute, unit, bandwidth and "
        "latency\n"
        "    2 | faults: {inject: {breadth: 3}}\n"
        "      |                   ^~~~~~~\n");
  CHECK(told("model: {layers: [{dense: 3, dropuot: 0.1}, {dense: 10}]}\n") ==
        "a.yaml:1:29: error: unknown key 'dropuot' in model.layers[0]; did you mean 'dropout'?\n"
        "    1 | model: {layers: [{dense: 3, dropuot: 0.1}, {dense: 10}]}\n"
        "      |                             ^~~~~~~\n");
}

TEST_CASE("a key given twice is told with both places") {
  CHECK(told_beside_model("train:\n  batch: 8\n  epochs: 2\n  batch: 9\n") ==
        "a.yaml:5:3: error: train.batch is given twice; the first is on line 3\n"
        "    5 |   batch: 9\n"
        "      |   ^~~~~\n");
  CHECK(told("model: {layers: [{dense: 3}, {dense: 10, bias: true, bias: false}]}\n") ==
        "a.yaml:1:54: error: model.layers[1].bias is given twice; the first is on line 1\n"
        "    1 | model: {layers: [{dense: 3}, {dense: 10, bias: true, bias: false}]}\n"
        "      |                                                      ^~~~\n");
}

TEST_CASE("an unknown choice is told with the list and the nearest") {
  CHECK(told_beside_model("train: {optimizer: {type: nestrov}}\n") ==
        "a.yaml:2:27: error: train.optimizer.type must be one of sgd, momentum, nesterov, adagrad, rmsprop, adam or "
        "adamw, got 'nestrov'; did you mean 'nesterov'?\n"
        "    2 | train: {optimizer: {type: nestrov}}\n"
        "      |                           ^~~~~~~\n");
  CHECK(told_beside_model("sync: {codec: zip}\n") ==
        "a.yaml:2:15: error: sync.codec must be one of none, fp16, bf16, qsgd, onebit, topk or zstd, got 'zip'\n"
        "    2 | sync: {codec: zip}\n"
        "      |               ^~~\n");
}

TEST_CASE("a value of the wrong shape is told by its key") {
  CHECK(told_beside_model("train: [1, 2]\n") ==
        "a.yaml:2:8: error: train must be a map of keys, got a list\n"
        "    2 | train: [1, 2]\n"
        "      |        ^\n");
  CHECK(told_beside_model("train: {batch: {a: 1}}\n") ==
        "a.yaml:2:16: error: train.batch must be an integer, got a map\n"
        "    2 | train: {batch: {a: 1}}\n"
        "      |                ^\n");
  CHECK(told_beside_model("data: {shuffle: \"yes\"}\n") ==
        "a.yaml:2:17: error: data.shuffle must be true or false, got 'yes'\n"
        "    2 | data: {shuffle: \"yes\"}\n"
        "      |                 ^~~~~\n");
  CHECK(told_beside_model("seed:\n") ==
        "a.yaml:2:1: error: seed has no value; it must be an integer\n"
        "    2 | seed:\n"
        "      | ^~~~\n");
  CHECK(told("- a\n") ==
        "a.yaml:1:1: error: a job must be a map of keys, got a list\n"
        "    1 | - a\n"
        "      | ^\n");
  CHECK(told("model: {layers: {dense: 10}}\n") ==
        "a.yaml:1:17: error: model.layers must be a list of layers, such as [{dense: 10}], got a map\n"
        "    1 | model: {layers: {dense: 10}}\n"
        "      |                 ^\n");
}

TEST_CASE("every key refuses a map for a value and names itself") {
  for (const KeyInfo& key : keys()) {
    if (key.type.starts_with("map") || key.type == "list of maps") continue;
    CAPTURE(key.path);
    std::string shown = key.path;
    if (const std::size_t at = shown.find("[]"); at != std::string::npos) shown.replace(at, 2, "[1]");
    const std::string text = nested(key.path, "{x: 1}");
    const std::string out = told(text);
    CHECK(out.find("error: " + shown + " must be ") != std::string::npos);
  }
}

TEST_CASE("a number is told by the side on which it leaves its range") {
  const auto first_line = [](const std::string& lines) {
    const std::string out = told_beside_model(lines);
    return out.substr(0, out.find('\n'));
  };
  CHECK(first_line("data: {holdout: 1}") == "a.yaml:2:17: error: data.holdout must be below 1, got 1");
  CHECK(first_line("data: {holdout: -1/2}") == "a.yaml:2:17: error: data.holdout must be at least 0, got -1/2");
  CHECK(first_line("train: {optimizer: {learning_rate: 0}}") ==
        "a.yaml:2:36: error: train.optimizer.learning_rate must be above 0, got 0");
  CHECK(first_line("topology: {servers: 2000}") ==
        "a.yaml:2:21: error: topology.servers must be at most 1024, got 2000");
  CHECK(first_line("topology: {servers: many}") ==
        "a.yaml:2:21: error: topology.servers must be an integer or auto, got 'many'");
  CHECK(first_line("train: {clip_norm: nan}") == "a.yaml:2:20: error: train.clip_norm must be a number, got 'nan'");
}

TEST_CASE("lengths and times want a unit that their key can use") {
  const auto message = [](const std::string& lines) {
    const std::string out = told_beside_model(lines);
    return out.substr(0, out.find('\n'));
  };
  CHECK(message("train: {evaluate: 500}") ==
        "a.yaml:2:19: error: train.evaluate needs a unit (step or epoch), got '500'");
  CHECK(message("train: {schedule: {warmup: 10 s}}") ==
        "a.yaml:2:28: error: train.schedule.warmup must be in step or epoch, got '10 s'");
  CHECK(message("train: {evaluate: 1.5 step}") ==
        "a.yaml:2:19: error: train.evaluate must be a whole number of steps, got 1.5 step");
  CHECK(message("train: {evaluate: soon}") ==
        "a.yaml:2:19: error: train.evaluate must be a number and a unit (step or epoch), got 'soon'");
  CHECK(message("faults: {stalled_after: 10}") ==
        "a.yaml:2:25: error: faults.stalled_after needs a unit (ms, s, min or h), got '10'");
  CHECK(message("faults: {stalled_after: 0 s}") == "a.yaml:2:25: error: faults.stalled_after must be above 0, got 0 s");
  CHECK(message("checkpoint: {every: -1 epoch}") ==
        "a.yaml:2:21: error: checkpoint.every must be at least 0, got -1 epoch");
}

TEST_CASE("values are what their key says, never what YAML would guess") {
  const Job job = sound(
      "name: 010\nseed: 010\nmodel: {layers: [{dense: 2}]}\n"
      "data: {format: csv, train: a.csv, holdout: 1/4, csv: {missing_values: [null, ~, no, ''], delimiter: \"\\t\"}}\n"
      "checkpoint: {every: 10 min}\nfaults: {stalled_after: 250 ms, join_within: 2 h}\n"
      "train: {evaluate: 0 step, schedule: {warmup: 500step}, optimizer: {learning_rate: 1e-4}}\n");
  CHECK(job.name == "010");
  CHECK(job.seed == 10);
  CHECK(job.data.holdout == 0.25);
  CHECK(job.data.train == Files{"a.csv", ""});
  CHECK(job.data.csv.missing_values == std::vector<std::string>{"null", "~", "no", ""});
  CHECK(job.data.csv.delimiter == "tab");
  CHECK(job.checkpoint.every == Length{600, Unit::time});
  CHECK(job.faults.stalled_after == 0.25);
  CHECK(job.faults.join_within == 7200);
  CHECK(job.train.evaluate == Length{0, Unit::epoch});
  CHECK(job.train.schedule.warmup == Length{500, Unit::step});
  CHECK(job.train.optimizer.learning_rate == 1e-4);
}

TEST_CASE("what is no YAML, no text or no single document is refused at its place") {
  CHECK(told("model: {layers: [\n") ==
        "a.yaml:2:1: error: this is not YAML: end of sequence flow not found\n"
        "    2 | \n"
        "      | ^\n");
  CHECK(told("name: a\xff\n") ==
        "a.yaml:1:8: error: byte 0xff has no place here: a job is UTF-8 text\n"
        "    1 | name: a?\n"
        "      |        ^\n");
  CHECK(told("name: \x1b[2J\n") ==
        "a.yaml:1:7: error: byte 0x1b has no place here: a job is UTF-8 text\n"
        "    1 | name: ?[2J\n"
        "      |       ^\n");
  CHECK(told("name: \"\\e[2J\"\n" + least) ==
        "a.yaml:1:7: error: name must be one line without control characters\n"
        "    1 | name: \"\\e[2J\"\n"
        "      |       ^~~~~~~\n");
  CHECK(told(least + "--- \nname: a\n") ==
        "a.yaml:2:1: error: a job is one YAML document, and a second one starts here\n"
        "    2 | --- \n"
        "      | ^~~\n");
  CHECK(told("") == "a.yaml: error: model.layers is required, such as [{dense: 10}]\n");
  CHECK(told_beside_model("seed: !!int 3\n") ==
        "a.yaml:2:7: error: a tag means nothing in a job, where every key has its type; leave it out\n"
        "    2 | seed: !!int 3\n"
        "      |       ^~~~~\n");
}

TEST_CASE("aliases are understood, and those that would build cycles or grow without bound are refused") {
  const Job job = sound("model: {layers: [&a {dense: 8, bias: false}, *a, {dense: 10}]}\n");
  CHECK(job.model.layers.size() == 3);
  CHECK(job.model.layers[1] == job.model.layers[0]);
  CHECK(told("model: &a {layers: [*a]}\n") ==
        "a.yaml:1:21: error: this alias stands inside the value that it names\n"
        "    1 | model: &a {layers: [*a]}\n"
        "      |                     ^\n");
  std::string laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'j'; ++c) {
    laughs += fmt::format("{}: &{} [", c, c);
    for (int i = 0; i < 9; ++i) laughs += fmt::format("*{}, ", static_cast<char>(c - 1));
    laughs += "]\n";
  }
  CHECK(told(laughs).find("error: a job holds at most 20000 values\n") != std::string::npos);
  CHECK(told(std::string(100000, '[')).find("error: a job is nested at most 50 deep\n") != std::string::npos);
}

TEST_CASE("carets stand right behind tabs, wide letters, line ends of Windows and in long lines") {
  CHECK(told_beside_model("train: {\t\tbatch: 0}\n") ==
        "a.yaml:2:18: error: train.batch must be at least 1, got 0\n"
        "    2 | train: {\t\tbatch: 0}\n"
        "      |         \t\t       ^\n");
  CHECK(told("{name: \xc3\xa9\xc3\xa9, seed: \xc3\xa9, model: {layers: [{dense: 10}]}}\n") ==
        "a.yaml:1:18: error: seed must be an integer, got '\xc3\xa9'\n"
        "    1 | {name: \xc3\xa9\xc3\xa9, seed: \xc3\xa9, model: {layers: [{dense: 10}]}}\n"
        "      |                  ^\n");
  CHECK(told("model: {layers: [{dense: 10}]}\r\nseed: xyz\r\n") ==
        "a.yaml:2:7: error: seed must be an integer, got 'xyz'\n"
        "    2 | seed: xyz\n"
        "      |       ^~~\n");
  const std::string far = told("{model: {layers: [{dense: 10}]}, " + std::string(300, ' ') + "seed: x}\n");
  CHECK(far == "a.yaml:1:340: error: seed must be an integer, got 'x'\n    1 | " + std::string(34, ' ') +
                   "seed: x}\n      | " + std::string(40, ' ') + "^\n");
}

TEST_CASE("keys that contradict each other are told at the key to change") {
  const auto message = [](const std::string& text) {
    const std::string out = told(text);
    return out.substr(0, out.find('\n'));
  };
  CHECK(message("model: {loss: binary_cross_entropy, layers: [{dense: 2}]}\ndata: {generate: {set: blobs}}") ==
        "a.yaml:1:54: error: binary_cross_entropy needs a last layer of 1 output, got 2");
  CHECK(message("model: {layers: [{dense: 10, activation: relu}]}") ==
        "a.yaml:1:42: error: the last layer must have no activation: the loss expects logits and applies its own");
  CHECK(message("model: {layers: [{dense: 9}]}") ==
        "a.yaml:1:26: error: the last layer has 9 outputs, but the generated digits have 10 classes");
  CHECK(message(least + "data: {format: idx, train: a}") ==
        "a.yaml:2:21: error: data.format idx needs data.train.labels");
  CHECK(message(least + "name: a/b") ==
        "a.yaml:2:7: error: name becomes the name of the run's folder: it may not be empty, . or .., nor have a /, got "
        "'a/b'");
  CHECK(message(least + "data: {format: csv}") ==
        "a.yaml:2:16: error: data.format csv needs data.train.features, the training file");
  CHECK(message(least + "data: {csv: {header: false}}") ==
        "a.yaml:2:22: error: data.csv.header is only read with data.format csv");
  CHECK(message(least + "data: {format: libsvm, train: a, test: b, holdout: 0.1}") ==
        "a.yaml:2:52: error: data.holdout and data.test exclude each other; leave one of them out");
  CHECK(message(least + "data: {normalize: {target: min_max}}") ==
        "a.yaml:2:28: error: data.normalize.target is for numbers: with this loss the target is a class");
  CHECK(message(least + "topology: {workers: 3, servers: 0}") ==
        "a.yaml:2:33: error: 3 workers need a server: set topology.servers to 1 or more, or auto");
  CHECK(message(least + "topology: {workers: 3, external: 4}") ==
        "a.yaml:2:34: error: topology.external is 4, but there are 3 workers in all, external ones included");
  CHECK(message(least + "topology: {external: 1, servers: 0}") ==
        "a.yaml:2:34: error: an external worker needs a server: set topology.servers to 1 or more, or auto");
  CHECK(message(least + "topology: {servers: 2, external_servers: 3}") ==
        "a.yaml:2:42: error: topology.external_servers is 3, but there are 2 servers in all, external ones included");
  CHECK(message(least + "sync: {policy: asp}") ==
        "a.yaml:2:16: error: asp needs a server: set topology.servers to 1 or more, or sync.policy to bsp");
  CHECK(message(least + "topology: {workers: 200}") ==
        "a.yaml:2:21: error: train.batch is 128, so some of the 200 workers would never have a row; raise it to 200 or "
        "more");
  CHECK(message(least + "train: {batch: 8, micro_batches: 5}\ntopology: {workers: 2}") ==
        "a.yaml:2:34: error: train.micro_batches is 5, but a worker's part of a batch is 4 rows (8 over 2 workers)");
  CHECK(message(least + "faults: {min_workers: 2, on_worker_loss: continue}") ==
        "a.yaml:2:23: error: faults.min_workers is 2, but topology.workers is 1");
  CHECK(message(least + "faults: {max_restarts: 2}\ntopology: {servers: 0}") ==
        "a.yaml:2:24: warning: faults.max_restarts has no effect: a run in one process has no roles to start anew");
}

TEST_CASE("places for more workers are refused where nobody can join, with the reason") {
  const auto message = [](const std::string& topology, const std::string& rest = "") {
    const std::string out = told(least + "topology: {" + topology + "}\n" + rest);
    const auto at = out.find("error: ");
    return at == std::string::npos ? std::string() : out.substr(at, out.find('\n', at) - at);
  };
  CHECK(message("workers: 2, max_workers: 4").empty());
  CHECK(message("workers: 1, max_workers: 4", "sync: {policy: asp}\ntrain: {batch: 32}\n").empty());
  CHECK(message("kind: ring, workers: 2, max_workers: 2").empty());
  CHECK(message("workers: 4, max_workers: 3") ==
        "error: topology.max_workers is 3, but topology.workers is 4: a run begins with all of these");
  const std::string grows = "error: topology.max_workers is 4, but topology.workers is 2 and ",
                    remedy = ": leave topology.max_workers out";
  CHECK(message("kind: ring, workers: 2, max_workers: 4") ==
        grows + "without servers nobody can join a run that has begun" + remedy);
  CHECK(message("workers: 2, max_workers: 4, split: {tensor: 2}, servers: 2") ==
        grows + "nobody can join a network that is split" + remedy);
  CHECK(message("workers: 2, max_workers: 4", "data: {sharing: peer}\n") ==
        grows + "data.sharing: peer has given all rows to those who began" + remedy);
  CHECK(message("workers: 1, max_workers: 4, servers: 0") ==
        "error: topology.max_workers is 4, but topology.workers is 1 and nobody can join a run in one process" +
            remedy);
  CHECK(message("workers: 2", "data: {sharing: peer}\nfaults: {on_worker_loss: restart}\n") ==
        "error: data.sharing: peer gives a worker rows to hold for the others when the run begins, so that nobody can "
        "take its place: set faults.on_worker_loss to continue, or data.sharing to central");
}

TEST_CASE("numbers of a policy that cannot be are told with their place and what to do") {
  const auto message = [](const std::string& sync, const std::string& rest = "topology: {workers: 4}") {
    const std::string out = told(least + "sync: {" + sync + "}\n" + rest + "\n");
    return out.substr(0, out.find('\n'));
  };
  CHECK(told_beside_model("topology: {workers: 4}\nsync: {policy: quorum, quorum: 5}\n") ==
        "a.yaml:3:32: error: sync.quorum is 5, but topology.workers is 4: set it to 4 or less, or auto\n"
        "    3 | sync: {policy: quorum, quorum: 5}\n"
        "      |                                ^\n");
  CHECK(message("policy: subset, size: 9") ==
        "a.yaml:2:30: error: sync.size is 9, but topology.workers is 4: set it to 4 or less, or auto");
  CHECK(message("policy: local, period: 0") == "a.yaml:2:31: error: sync.period must be at least 1, got 0");
  CHECK(message("policy: easgd, alpha: 1") == "a.yaml:2:30: error: sync.alpha must be below 1, got 1");
  CHECK(message("policy: bmuf, block_momentum: 1") == "a.yaml:2:38: error: sync.block_momentum must be below 1, got 1");
  CHECK(message("policy: bmuf, block_momentum: half") ==
        "a.yaml:2:38: error: sync.block_momentum must be a number or auto, got 'half'");
  CHECK(message("policy: easgd, alpha: 0.5") ==
        "a.yaml:2:30: warning: sync.alpha is 0.5, and 4 workers together pull the centre beyond where they are: 1 / "
        "workers = 0.25 is the most, and auto is 0.9 / workers");
  CHECK(message("policy: easgd, alpha: 1/4").empty());
  CHECK(message("policy: adaptive, low: 5, high: 4") ==
        "a.yaml:2:31: error: sync.low is 5, above sync.high, which is 4");
  CHECK(message("policy: adaptive, adapt: period, low: 0, high: 0") ==
        "a.yaml:2:55: error: sync.high is 0, but a period is 1 or more: set sync.high to 1 or more");
  CHECK(message("policy: adaptive, adapt: period, low: 0") ==
        "a.yaml:2:46: error: sync.low is 0, but a period is 1 or more: set sync.low to 1 or more");
  CHECK(
      message("policy: adaptive, adapt: period, low: 1, high: 20, period: 32") ==
      "a.yaml:2:67: warning: sync.period is 32, outside of 1 to 20, its bounds sync.low and sync.high: the run starts "
      "with 20");
  CHECK(message("policy: quorum, compensation: delay") ==
        "a.yaml:2:38: error: sync.compensation makes up for old gradients, and under quorum none is old: set it to "
        "none, or sync.policy to asp or ssp");
  CHECK(message("policy: adaptive, compensation: delay").empty());
  CHECK(message("policy: adaptive, adapt: period, low: 1, compensation: delay") ==
        "a.yaml:2:63: error: sync.compensation makes up for old gradients, and under adaptive none is old: set it to "
        "none, or sync.policy to asp or ssp");
}

TEST_CASE("every policy but bsp and gossip needs a server, and says so when there is none") {
  for (const std::string& policy : find_key("sync.policy")->choices) {
    if (policy == "gossip") continue;
    CAPTURE(policy);
    const std::string line = "sync: {policy: " + policy + "}\n";
    const std::string problem = fmt::format(
        "a.yaml:2:16: error: {} needs a server: set topology.servers to 1 or more, or sync.policy to bsp\n", policy);
    CHECK((told_beside_model(line).find(problem) == 0) == (policy != "bsp"));
    const std::string rate = "train: {optimizer: {learning_rate: 0.001}}\n";
    CHECK(told_beside_model(line + "topology: {workers: 2}\n" + rate).empty());
    CHECK(told_beside_model(line + "topology: {servers: 1}\n" + rate).empty());
  }
}

TEST_CASE("a codec that the policy or its own numbers cannot go with is told, and so are keys of other codecs") {
  const auto message = [](const std::string& sync, const std::string& rest = "topology: {workers: 4}") {
    const std::string out = told_beside_model(rest + "\nsync: {" + sync + "}\n");
    return out.substr(0, out.find('\n'));
  };
  for (const std::string policy : {"local", "easgd", "bmuf", "adaptive, adapt: period, low: 1"}) {
    const std::string out = message("codec: fp16, policy: " + policy);
    CHECK(out.find("a.yaml:3:15: error: sync.codec packs gradients, and under ") == 0);
  }
  for (const std::string policy : {"bsp", "asp", "ssp", "quorum", "subset", "adaptive"})
    CHECK(message("codec: fp16, policy: " + policy).empty());
  CHECK(message("codec: qsgd, levels: 7").empty());
  CHECK(message("codec: qsgd, levels: 7, feedback: true").find("a.yaml:3:29: error: sync.levels is 7, and with ") == 0);
  CHECK(message("codec: zstd, zstd_of: zstd").find("error: sync.zstd_of must be one of none, fp16") !=
        std::string::npos);
  CHECK(message("codec: topk, feedback: true") ==
        "a.yaml:3:31: warning: sync.feedback has no effect: only sync.codec: fp16, bf16, qsgd and onebit have it");
  CHECK(message("codec: onebit, feedback: maybe") ==
        "a.yaml:3:33: error: sync.feedback must be true, false or auto, got 'maybe'");
  CHECK(message("codec: onebit, density: 0.5") ==
        "a.yaml:3:32: warning: sync.density has no effect: only sync.codec: topk has it");
  CHECK(message("codec: fp16, zstd_of: qsgd") ==
        "a.yaml:3:30: warning: sync.zstd_of has no effect: only sync.codec: zstd has it");
  CHECK(message("codec: fp16", "topology: {workers: 1}") ==
        "a.yaml:3:15: warning: sync.codec has no effect: one process sends nothing");
  CHECK(message("codec: topk", "topology: {workers: 4}\ntrain: {optimizer: {type: adam}}")
            .find("warning: topk sends most values late") != std::string::npos);
}

TEST_CASE("a policy's key that another policy would read is told to be idle") {
  const auto message = [](const std::string& sync) {
    const std::string out = told_beside_model("topology: {workers: 4}\nsync: {" + sync + "}\n");
    return out.substr(0, out.find('\n'));
  };
  CHECK(
      message("policy: ssp, period: 5") ==
      "a.yaml:3:29: warning: sync.period has no effect: only local, easgd, bmuf and adaptive have it, and sync.policy "
      "is ssp");
  CHECK(message("policy: asp, staleness: 1") ==
        "a.yaml:3:32: warning: sync.staleness has no effect: only ssp has it, and sync.policy is asp");
  CHECK(message("policy: asp, lambda: 1") ==
        "a.yaml:3:29: warning: sync.lambda has no effect: only sync.compensation: delay has it");
  CHECK(message("policy: adaptive, period: 5") ==
        "a.yaml:3:34: warning: sync.period has no effect: sync.adapt is staleness");
  CHECK(message("policy: local, momentum: average") ==
        "a.yaml:3:33: warning: sync.momentum has no effect: sgd has no moments");
  CHECK(message("policy: asp, quorum: 2") ==
        "a.yaml:3:29: warning: sync.quorum has no effect: only quorum has it, and sync.policy is asp");
  CHECK(message("policy: asp, quorum: 3").empty());  // what auto stands for: a job with every key written out reads
}

TEST_CASE("slowness made on purpose is a distribution and names ranks that there are") {
  const auto message = [](const std::string& inject) {
    const std::string out = told_beside_model("topology: {workers: 4}\nfaults: {inject: {" + inject + "}}\n");
    return out.substr(0, out.find('\n'));
  };
  const std::string forms =
      "error: faults.inject.compute must be constant:1, exponential:1, pareto:1,2.5, two_point:1,5,0.1, slow:1,3,0 or "
      "trace:FILE; got ";
  CHECK(message("compute: 'two_point:1,5,0.1'").empty());
  CHECK(message("compute: 'slow:1,3,3'").empty());
  CHECK(message("compute: 'slow:1,3,9'") ==
        "a.yaml:3:28: error: faults.inject.compute names rank 9, but topology.workers is 4: ranks count from 0");
  CHECK(message("compute: 3") == "a.yaml:3:28: " + forms + "'3'");
  CHECK(message("compute: 'pareto:1,1'") ==
        "a.yaml:3:28: " + forms + "'pareto:1,1': the shape is above 1, or there is no mean");
  CHECK(message("unit: 1 s") ==
        "a.yaml:3:25: warning: faults.inject.unit has no effect: faults.inject.compute names no distribution");
}

TEST_CASE("a link made slow on purpose has a rate and a latency with units, and 0 is none") {
  const auto with = [](const std::string& inject, const std::string& more = "transport: ipc") {
    return sound(least + "topology: {workers: 4, " + more + "}\nfaults: {inject: {" + inject + "}}\n");
  };
  const auto bandwidth = [&](const std::string& text) { return with("bandwidth: " + text).faults.inject.bandwidth; };
  CHECK(bandwidth("0") == 0);
  CHECK(bandwidth("300 bit/s") == 300);
  CHECK(bandwidth("64 kbit/s") == 64e3);
  CHECK(bandwidth("100 Mbit/s") == 100e6);
  CHECK(bandwidth("2.5Gbit/s") == 2.5e9);
  CHECK(with("latency: 5 ms").faults.inject.latency == 5e-3);
  CHECK(with("latency: 0").faults.inject.latency == 0);
  CHECK(with("latency: 0 s").faults.inject.latency == 0);
  CHECK_FALSE(with("latency: 0 s").faults.inject.slows_links());

  const auto message = [](const std::string& topology, const std::string& inject) {
    const std::string out = told_beside_model("topology: {" + topology + "}\nfaults: {inject: {" + inject + "}}\n");
    return out.substr(0, out.find('\n'));
  };
  const std::string workers = "workers: 4, transport: ipc", units = "bit/s, kbit/s, Mbit/s or Gbit/s";
  CHECK(message(workers, "bandwidth: 100 Mbit/s, latency: 1 ms").empty());
  CHECK(message(workers, "bandwidth: 100") ==
        "a.yaml:3:30: error: faults.inject.bandwidth needs a unit (" + units + "), got '100'");
  CHECK(message(workers, "bandwidth: 100 MB/s") ==
        "a.yaml:3:30: error: faults.inject.bandwidth must be in " + units + ", got '100 MB/s'");
  CHECK(message(workers, "bandwidth: fast") ==
        "a.yaml:3:30: error: faults.inject.bandwidth must be a number and a unit (" + units + "), got 'fast'");
  CHECK(message(workers, "bandwidth: -1 bit/s") ==
        "a.yaml:3:30: error: faults.inject.bandwidth must be at least 0, got -1 bit/s");
  CHECK(message(workers, "latency: -1 s") == "a.yaml:3:28: error: faults.inject.latency must be at least 0, got -1 s");
  CHECK(message("workers: 4", "latency: 1 s") ==
        "a.yaml:3:28: warning: roles on this machine will not exchange through shared memory, which is no link to be "
        "slow; topology.transport: ipc says so too");
  CHECK(message("workers: 1", "bandwidth: 1 Gbit/s") ==
        "a.yaml:3:30: warning: faults.inject.bandwidth has no effect: a run in one process has no links");
}

TEST_CASE("a distribution draws what its text says") {
  const auto parsed = [](const std::string& text) { return std::get<Distribution>(parse_distribution(text)); };
  const auto mean_of = [](const Distribution& distribution, int ranks) {
    double sum = 0;
    constexpr std::uint64_t steps = 20000;
    for (std::uint64_t step = 0; step < steps; ++step)
      for (int rank = 0; rank < ranks; ++rank) sum += distribution.draw(7, rank, step);
    return sum / static_cast<double>(steps) / ranks;
  };
  for (const std::string text : {"constant:2", "exponential:3", "pareto:1,4", "two_point:1,5,0.1", "slow:1,3,2"}) {
    CAPTURE(text);
    const Distribution distribution = parsed(text);
    CHECK(mean_of(distribution, 4) == doctest::Approx(distribution.mean(4)).epsilon(0.02));
    CHECK(distribution.draw(7, 1, 5) == parsed(text).draw(7, 1, 5));
  }
  CHECK(parsed("two_point:1,5,0.1").mean(8) == doctest::Approx(1.4));
  CHECK(parsed("slow:2,3,1").draw(1, 1, 0) == 6);
  CHECK(parsed("slow:2,3,1").draw(1, 0, 0) == 2);
  CHECK(parsed("slow:2,3,1").slow_rank() == 1);
  CHECK_FALSE(parsed("constant:2").slow_rank());
}

TEST_CASE("a distribution that is none is told with the forms and the reason") {
  const auto reason = [](const std::string& text) {
    const std::string problem = std::get<std::string>(parse_distribution(text));
    const std::size_t at = problem.find("; got ");
    CHECK(problem.substr(0, at) ==
          "constant:1, exponential:1, pareto:1,2.5, two_point:1,5,0.1, slow:1,3,0 or trace:FILE");
    return problem.substr(at + 6);
  };
  CHECK(reason("normal:1") == "'normal:1'");
  CHECK(reason("constant") == "'constant': constant takes 1 number");
  CHECK(reason("pareto:1") == "'pareto:1': pareto takes 2 numbers");
  CHECK(reason("constant:x") == "'constant:x': \"x\" is no number");
  CHECK(reason("constant:0") == "'constant:0': times and factors are above 0");
  CHECK(reason("two_point:1,-5,0.1") == "'two_point:1,-5,0.1': times and factors are above 0");
  CHECK(reason("two_point:1,5,2") == "'two_point:1,5,2': a probability is in [0, 1]");
  CHECK(reason("slow:1,3,0.5") == "'slow:1,3,0.5': the rank is a whole number from 0");
  CHECK(reason("trace:/") == "'trace:/': / is not a file");
}

TEST_CASE("a trace file has a line a step and a column a rank, starts again, and lies beside its job") {
  const fs::path folder = fs::temp_directory_path() / fmt::format("dtrain-trace-{}", ::getpid());
  make_folder(folder);
  write_file(folder / "times.csv", std::string_view("1,2\r\n\n3 4\n"));
  const std::string lines = "topology: {workers: 3}\nfaults: {inject: {compute: 'trace:times.csv'}}\n";
  const ReadResult result = read_job(least + lines, (folder / "a.yaml").string());
  INFO(render(result));
  REQUIRE(result.ok());
  CHECK(result.job.faults.inject.compute == "trace:" + (folder / "times.csv").string());
  const auto times = std::get<Distribution>(parse_distribution(result.job.faults.inject.compute));
  CHECK(times.draw(1, 0, 0) == 1);
  CHECK(times.draw(1, 1, 1) == 4);
  CHECK(times.draw(1, 2, 2) == 1);
  CHECK(times.mean(3) == doctest::Approx((1 + 2 + 1 + 3 + 4 + 3) / 6.0));
  write_file(folder / "times.csv", std::string_view("1,2\n1,0\n"));
  CHECK(render(read_job(least + lines, (folder / "a.yaml").string())).find("line 2 has '0', not a time above 0") !=
        std::string::npos);
  fs::remove_all(folder);
  CHECK_FALSE(read_job(least + lines, (folder / "a.yaml").string()).ok());
}

TEST_CASE("what a policy leaves to auto follows from the number of workers, and what was given stays") {
  const Sync four = resolve_sync({}, 4);
  CHECK(four.quorum == 3);
  CHECK(four.size == 2);
  CHECK(four.alpha == 0.9 / 4);
  CHECK(four.block_momentum == 0.75);
  const Sync one = resolve_sync({}, 1);
  CHECK(one.quorum == 1);
  CHECK(one.size == 1);
  CHECK(one.block_momentum == 0);
  Sync given;
  given.quorum = 1, given.size = 4, given.alpha = 0.1, given.block_momentum = 0.5;
  CHECK(resolve_sync(given, 4) == given);
  CHECK(resolve_sync(four, 9) == four);
}

TEST_CASE("a job with nothing left to auto is read without a new remark") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    CAPTURE(seed);
    Job job = random_job(seed);
    job.sync = {};
    job.sync.policy = random_job(seed).sync.policy;
    const std::string before = render(read_job(write_job(job), "b.yaml"));
    job.sync = resolve_sync(job.sync, job.topology.data_ranks());
    const ReadResult after = read_job(write_job(job), "b.yaml");
    REQUIRE(after.job == job);
    REQUIRE((render(after).find("sync.") == std::string::npos) == (before.find("sync.") == std::string::npos));
  }
}

TEST_CASE("a policy is called what a job calls it") {
  CHECK(policy_name(PolicyName::bsp) == "bsp");
  CHECK(policy_name(PolicyName::adaptive) == "adaptive");
}

TEST_CASE("an assertion names a metric that this job will have") {
  CHECK(told_beside_model("assert: [test.acuracy >= 0.9]\n") ==
        "a.yaml:2:10: error: no metric of this job is called 'test.acuracy'; did you mean 'test.accuracy'?\n"
        "    2 | assert: [test.acuracy >= 0.9]\n"
        "      |          ^~~~~~~~~~~~~~~~~~~\n");
  CHECK(told_beside_model("assert:\n  - seconds < 9\n  - test.loss < 1\ndata: {generate: {test_rows: 0}}\n") ==
        "a.yaml:4:5: error: test.loss needs test rows: give data.test or data.holdout\n"
        "    4 |   - test.loss < 1\n"
        "      |     ^~~~~~~~~~~~~\n");
  CHECK(told_beside_model("assert: [test.accuracy is good]\n") ==
        "a.yaml:2:10: error: assert needs a metric, one of >= > <= < == != and a number, got 'test.accuracy is good'\n"
        "    2 | assert: [test.accuracy is good]\n"
        "      |          ^~~~~~~~~~~~~~~~~~~~~\n");
}

TEST_CASE("a key without effect is a warning, and the job still stands") {
  const ReadResult result =
      read_job(least + "train: {optimizer: {momentum: 0.5}, schedule: {floor: 0.1}}\nsync: {rate: share}\n", "a.yaml");
  CHECK(result.ok());
  CHECK(render(result) ==
        "a.yaml:2:31: warning: train.optimizer.momentum has no effect: only momentum and nesterov have a momentum; set "
        "train.optimizer.type\n"
        "    2 | train: {optimizer: {momentum: 0.5}, schedule: {floor: 0.1}}\n"
        "      |                               ^~~\n"
        "a.yaml:2:55: warning: train.schedule.floor has no effect: only the cosine schedule has it\n"
        "    2 | train: {optimizer: {momentum: 0.5}, schedule: {floor: 0.1}}\n"
        "      |                                                       ^~~\n"
        "a.yaml:3:14: warning: sync.rate has no effect: only asp, ssp and adaptive have it, and sync.policy is bsp\n"
        "    3 | sync: {rate: share}\n"
        "      |              ^~~~~\n"
        "3 warnings\n");
}

TEST_CASE("errors and warnings are counted apart") {
  const std::string out = told_beside_model("train: {optimizer: {momentum: 0.5}}\nseed: x\n");
  CHECK(out.substr(out.rfind('\n', out.size() - 2) + 1) == "1 error, 1 warning\n");
}

TEST_CASE("an override is typed by its key and wins over the text") {
  const Job job = sound(least + "train: {batch: oops}\ndata: {format: csv, train: a.csv}\n",
                        {"train.batch=256", "model.layers.0.dense=4", "data.csv.ignore=[a, 'b c']", "name=a: b",
                         "data.test={features: b.csv}", "data.test.features=c.csv", "checkpoint.every=5 min"});
  CHECK(job.train.batch == 256);
  CHECK(job.model.layers[0].dense == 4);
  CHECK(job.data.csv.ignore == std::vector<std::string>{"a", "b c"});
  CHECK(job.name == "a: b");
  CHECK(job.data.train.features == "a.csv");
  CHECK(job.data.test.features == "c.csv");
  CHECK(job.checkpoint.every == Length{300, Unit::time});
  CHECK(sound("", {"model.layers=[{dense: 5}, {dense: 10}]"}).model.layers[0].dense == 5);
}

TEST_CASE("a rule for columns is told what it cannot mean, at the key that says it") {
  const auto message = [](const std::string& rule) {
    const std::string out =
        told_beside_model("data: {format: csv, train: a.csv, holdout: 0.2, columns: [" + rule + "]}");
    const std::size_t from = out.find(": ") + 2;
    return out.substr(from, out.find('\n') - from);
  };
  CHECK(message("{as: hash}") == "error: data.columns[0].names is required, such as names: [age]");
  CHECK(message("{names: []}") == "error: data.columns[0].names must name at least one column");
  CHECK(message("{names: [a]}, {names: [b, a]}") ==
        "error: column 'a' has a rule already: data.columns[0].names[0]; give it one entry");
  CHECK(message("{names: [a], buckets: 8}") ==
        "warning: data.columns[0].buckets has no effect: only columns as hash have buckets");
  CHECK(message("{names: [a], as: category, missing: median}") ==
        "error: data.columns[0].missing must be error or category where values are categories: they have no mean, no "
        "order and no zero");
  CHECK(message("{names: [a], as: number, missing: category}") ==
        "error: data.columns[0].missing category needs a column as category or hash: a number has no levels");
  CHECK(message("{names: [a], missing: mean, value: 3}") ==
        "warning: data.columns[0].value has no effect: only missing: constant has a value to put in");
  CHECK(message("{names: [a], clip_low: 2, clip_high: 1}") ==
        "error: data.columns[0].clip_low must be at most clip_high, 1, got 2");
  CHECK(message("{names: [a], log: log, clip_low: 0}") ==
        "error: data.columns[0].clip_low must be above 0: what is clipped to 0 has no logarithm");
  CHECK(message("{names: [a], as: ignore, fit: min_max}") ==
        "warning: data.columns[0].fit has no effect: the column is left out");
  CHECK(message("{names: [a], as: date, parts: [yaer]}") ==
        "error: data.columns[0].parts must be one of year, month, day, weekday, hour, minute, day_of_year or days, got "
        "'yaer'; did you mean 'year'?");
  CHECK(told_beside_model("data: {columns: [{names: [a]}]}").find("needs columns with names") != std::string::npos);
}

TEST_CASE("rows that cannot be read are an error, or a number of them may be left out") {
  const auto rule = [](const std::string& value) { return least + "data: {on_bad_row: " + value + "}\n"; };
  CHECK(sound(rule("error")).data.skip_bad_rows == 0);
  CHECK(sound(rule("{skip_max: 7}")).data.skip_bad_rows == 7);
  CHECK(sound(rule("error"), {"data.on_bad_row.skip_max=5"}).data.skip_bad_rows == 5);
  CHECK(sound(rule("{skip_max: 7}"), {"data.on_bad_row=error"}).data.skip_bad_rows == 0);
  CHECK(told(rule("skip")).find("data.on_bad_row must be error or {skip_max: K}, got 'skip'") != std::string::npos);
}

TEST_CASE("a wrong override is told as it was written") {
  CHECK(told(least, {"train.bacth=3"}) ==
        "--set train.bacth=3: error: unknown key 'bacth' in train; did you mean 'batch'?\n");
  CHECK(told(least, {"train.batch=0"}) == "--set train.batch=0: error: train.batch must be at least 1, got 0\n");
  CHECK(told(least, {"train.batch"}) == "--set train.batch: error: an override is written key=value\n");
  CHECK(told(least, {"train.batch.x=1"}) == "--set train.batch.x=1: error: train.batch has no keys of its own\n");
  CHECK(told(least, {"model.layers.3.dense=1"}) ==
        "--set model.layers.3.dense=1: error: model.layers has 1 entry, counted from 0\n");
  CHECK(told(least, {"model.layers=[{dense: 2}"}) ==
        "--set model.layers=[{dense: 2}: error: this is not YAML: end of sequence flow not found\n");
}

TEST_CASE("what is left out has the default of the catalogue, which is that of the struct") {
  Job job = sound(least);
  Job expected;
  expected.name = "a";
  expected.model.layers = {Layer{}};
  expected.model.layers[0].dense = 10;
  expected.data.dir = fs::current_path().string();
  expected.output.dir = (fs::current_path() / "runs").string();
  CHECK(job == expected);
}

TEST_CASE("relative folders start at the job file") {
  const ReadResult result = read_job(least + "data: {dir: ../sets/}\n", "/jobs/here/digits.v2.yaml");
  CHECK(result.job.name == "digits.v2");
  CHECK(result.job.data.dir == "/jobs/sets");
  CHECK(result.job.output.dir == "/jobs/here/runs");
}

TEST_CASE("a job written out reads back as the same job, whatever is in it") {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    CAPTURE(seed);
    const Job job = random_job(seed);
    const std::string text = write_job(job);
    const ReadResult back = read_job(text, "elsewhere/b.yaml");
    INFO(text, render(back));
    REQUIRE(back.ok());
    REQUIRE(back.job == job);
    REQUIRE(write_job(back.job) == text);
  }
}

TEST_CASE("a missing file and a wrong one are job errors with all that is wrong in the message") {
  const fs::path folder = fs::temp_directory_path() / fmt::format("dtrain-job-{}", ::getpid());
  make_folder(folder);
  const std::string file = (folder / "b.yaml").string();
  write_file(file, std::string_view("model: {layers: [{dense: 0}]}\n"));
  try {
    load_job(file, {});
    FAIL("a wrong job was read");
  } catch (const Error& error) {
    CHECK(error.kind() == Kind::job);
    CHECK(error.message() == file +
                                 ":1:26: error: model.layers[0].dense must be at least 1, got 0\n"
                                 "    1 | model: {layers: [{dense: 0}]}\n"
                                 "      |                          ^\n");
  }
  write_file(file, std::string_view(least + "sync: {rate: share}\n"));
  std::string warnings;
  CHECK(load_job(file, {}, &warnings).model.layers.size() == 1);
  CHECK(warnings.find("warning: sync.rate has no effect") != std::string::npos);
  fs::remove_all(folder);
  try {
    load_job(file, {});
    FAIL("a missing job was read");
  } catch (const Error& error) {
    CHECK(error.kind() == Kind::job);
  }
}

TEST_CASE("every key of the catalogue has a sentence of help, and its parent stands before it") {
  std::vector<std::string> seen;
  for (const KeyInfo& key : keys()) {
    CAPTURE(key.path);
    CHECK(key.help.size() > 10);
    CHECK(key.help.back() == '.');
    CHECK(find_key(key.path) == &key);
    const std::size_t dot = key.path.rfind('.');
    if (dot != std::string::npos) {
      std::string parent = key.path.substr(0, dot);
      if (parent.ends_with("[]")) parent.resize(parent.size() - 2);
      CHECK(std::find(seen.begin(), seen.end(), parent) != seen.end());
    }
    seen.push_back(key.path);
  }
}

TEST_CASE("the schema admits the keys of the catalogue and no others") {
  const Json root = schema();
  std::size_t properties = 0;
  const auto count = [&](const auto& self, const Json& node) -> void {
    if (!node.is_object()) return;
    if (node.contains("properties")) {
      CHECK(node["additionalProperties"] == false);
      for (const auto& [name, child] : node["properties"].items()) {
        ++properties;
        CHECK(child.contains("description"));
        self(self, child);
      }
    }
    if (node.contains("items")) self(self, node["items"]);
    if (node.contains("anyOf"))
      for (const Json& one : node["anyOf"]) self(self, one);
  };
  count(count, root);
  CHECK(properties == keys().size());
  CHECK(root["required"] == Json::array({"model"}));
  CHECK(root["properties"]["train"]["properties"]["batch"] ==
        Json{{"type", "integer"},
             {"minimum", 1},
             {"maximum", 100000000},
             {"description", "Rows of a step over all workers; never multiplied by their number."},
             {"default", 128}});
}

TEST_CASE("every job under configs is read without a remark") {
  const std::vector<fs::path> files = files_in(source_root() / "configs");
  CHECK(files.size() >= 8);
  for (const fs::path& file : files) {
    CAPTURE(file.string());
    CHECK(render(read_job(read_file(file, Kind::job), file.string())) == "");
  }
}

TEST_CASE("no text of the fuzzer's corpus crashes the reader, and what is sound reads back") {
  const std::vector<fs::path> files = files_in(source_root() / "tests" / "fuzz" / "corpus" / "job");
  CHECK(files.size() >= 20);
  for (const fs::path& file : files) {
    CAPTURE(file.string());
    const std::string input = read_file(file, Kind::job);
    const std::size_t end = input.find('\0');
    std::vector<Override> overrides;
    if (end != std::string::npos) overrides = split(std::string_view(input).substr(end + 1), '\n');
    const ReadResult first = read_job(input.substr(0, end), "fuzz.yaml", overrides);
    CHECK(first.diagnostics.empty() == render(first).empty());
    if (first.ok()) CHECK(read_job(write_job(first.job), "other.yaml").job == first.job);
  }
}

TEST_CASE("a policy and a kind of topology that cannot go together are told with both keys and the remedy") {
  const auto message = [](const std::string& topology, const std::string& sync, const std::string& more = "") {
    const std::string out = told_beside_model("topology: {" + topology + "}\nsync: {" + sync + "}\n" + more);
    const std::size_t begin = out.find(' ');
    return out.empty() ? out : out.substr(begin + 1, out.find('\n') - begin - 1);
  };
  for (const std::string kind : {"ring", "halving_doubling", "tree", "auto"}) {
    CAPTURE(kind);
    const std::string of = "kind: " + kind + ", workers: 3";
    for (const char* fits : {"bsp", "subset", "local", "bmuf", "sign_vote"})
      CHECK(message(of, "policy: " + std::string(fits), "train: {optimizer: {learning_rate: 0.001}}\n").empty());
    for (const std::string lacks : {"asp", "ssp", "quorum", "easgd", "adaptive"})
      CHECK(message(of, "policy: " + lacks) ==
            "error: " + lacks + " needs servers, and topology.kind is " + kind +
                ", which has none: set topology.kind to parameter_server, or sync.policy to bsp, subset, local, bmuf "
                "or sign_vote");
    CHECK(message(of, "policy: gossip") ==
          "error: gossip is between workers, and topology.kind is " + kind + ": set topology.kind to gossip");
    CHECK(message(of + ", servers: 2", "policy: bsp") ==
          "error: topology.servers is 2, but topology.kind is " + kind +
              ", which has none: leave topology.servers out, or set topology.kind to parameter_server");
    CHECK(message(of + ", servers: 0", "policy: bsp").empty());
    CHECK(message(of, "policy: bsp", "faults: {on_worker_loss: continue}\n") ==
          "error: a run without servers needs all its workers: set faults.on_worker_loss to stop or restart, or "
          "topology.kind to parameter_server");
    CHECK(message("kind: " + kind, "policy: bsp").empty());
    CHECK(message("kind: " + kind, "policy: local") ==
          "error: local needs others: set topology.workers to 2 or more, or sync.policy to bsp");
  }
  CHECK(message("kind: gossip, workers: 2", "policy: gossip").empty());
  CHECK(message("kind: gossip, workers: 2", "policy: bsp") ==
        "error: topology.kind: gossip has no other policy than gossip, and sync.policy is bsp: set sync.policy to "
        "gossip, or topology.kind to parameter_server");
  CHECK(message("kind: gossip, workers: 1", "policy: gossip") ==
        "error: topology.kind is gossip, but there is only one worker: set topology.workers to 2 or more, or "
        "topology.kind to parameter_server");
  CHECK(message("workers: 3", "policy: gossip") ==
        "error: gossip is between workers, and topology.kind is parameter_server: set topology.kind to gossip");
  CHECK(message("workers: 3, servers: 0", "policy: bsp") ==
        "error: 3 workers need a server: set topology.servers to 1 or more, or auto");
  CHECK(message("kind: ring, workers: 2, external_servers: 1", "policy: bsp") ==
        "error: topology.external_servers is 1, but topology.kind is ring, which has no servers");
  CHECK(message("transport: tcp", "policy: bsp") ==
        "warning: topology.transport has no effect: a run in one process exchanges nothing");
}

TEST_CASE("a vote by sign takes sgd's step, unclipped, and only it has feedback") {
  const auto message = [](const std::string& lines) {
    const std::string out = told_beside_model("topology: {workers: 2}\n" + lines);
    return out.substr(0, out.find('\n'));
  };
  const std::string vote = "sync: {policy: sign_vote}\n";
  const std::string slow = "train: {optimizer: {learning_rate: 0.01}}\n";
  CHECK(message(vote + slow).empty());
  CHECK(message("sync: {policy: sign_vote, vote_feedback: true}\n" + slow).empty());
  CHECK(message(vote + "train: {optimizer: {learning_rate: 0.02}}\n") ==
        "a.yaml:4:36: warning: under sign_vote every weight moves by train.optimizer.learning_rate in every step, and "
        "0.02 is much: 0.001 is a usual start");
  CHECK(message(vote + "train: {optimizer: {type: adam, learning_rate: 0.01}}\n") ==
        "a.yaml:4:27: error: sign_vote takes the majority's step, which is sgd's: set train.optimizer.type to sgd");
  CHECK(message(vote + "train: {clip_norm: 1, optimizer: {learning_rate: 0.01}}\n") ==
        "a.yaml:4:20: error: signs cannot be clipped: set train.clip_norm to 0");
  CHECK(message("sync: {policy: bsp, vote_feedback: true}\n") ==
        "a.yaml:3:36: warning: sync.vote_feedback has no effect: only sign_vote has it, and sync.policy is bsp");
}
