#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <limits>

#include "base/file.hpp"
#include "report/chart.hpp"
#include "report/history.hpp"
#include "report/page.hpp"
#include "report/progress.hpp"
#include "report/run_folder.hpp"
#include "report/summary.hpp"

using namespace dtrain;
using namespace dtrain::report;

namespace {

/// A folder that is gone when the test is.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "dtrain-report-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Scratch() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

job::Job job_in(const fs::path& folder, job::IfExists if_exists = job::IfExists::make_new) {
  job::Job job;
  job.name = "mnist";
  job.output.dir = folder.string();
  job.output.if_exists = if_exists;
  return job;
}

/// The kind and text of the Error that `act` throws.
template <class Act>
std::pair<Kind, std::string> error_of(Act act) {
  try {
    act();
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  return {Kind::done, ""};
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::size_t times(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

/// What Progress writes, caught in a file.
class Caught {
 public:
  Caught() : file_(std::tmpfile()) {}
  ~Caught() { std::fclose(file_); }
  int fd() const { return ::fileno(file_); }
  std::string text() const {
    std::string out(4096, '\0');
    const ssize_t got = ::pread(fd(), out.data(), out.size(), 0);
    out.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    return out;
  }

 private:
  std::FILE* file_;
};

Status status_at(Index step) {
  Status status;
  status.step = step;
  status.steps = 4690;
  status.epoch = 2.99;
  status.epochs = 10;
  status.loss = 0.08123;
  status.samples_per_second = 61200;
  status.latest_test = "test accuracy 0.9742";
  return status;
}

int columns_of(const std::string& text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

Json example_summary() {
  return Json::parse(R"({"name":"mnist","status":"done","exit_code":0,"reason":"","steps":4690,"epochs":10,
    "seconds":12.3,"samples_per_second":61200.4,"train":{"loss":0.0113},"test":{"loss":0.0634,"accuracy":0.9812},
    "weights":{"count":407050,"sha256":"3f2a91c0d4e5f60718293a4b5c6d7e8f3f2a91c0d4e5f60718293a4b5c6d7e8f"},
    "bytes":{"predicted_per_worker_step":1628200,"payload_sent":15300000000,"payload_received":15300000000},
    "roles":[{"role":"worker","rank":0,"compute_seconds":9,"wait_seconds":0.5,"communicate_seconds":0.5,
              "bytes_sent":7650000000,"bytes_received":7650000000,"steps":4690,"rows":300000},
             {"role":"server","rank":0,"compute_seconds":2,"wait_seconds":7,"communicate_seconds":1,
              "bytes_sent":15300000000,"bytes_received":15300000000,"steps":4690,"rows":0}],
    "staleness":{"mean":1.5,"histogram":{"0":10,"1":30,"2":60}},"checkpoints":10,"run":"runs/mnist","policy":"asp",
    "workers":2,"servers":1,"threads":1,"blas":"openblas","seed":7})");
}

}  // namespace

TEST_CASE("a second run of the same name gets a folder of its own, and both are private") {
  const Scratch scratch;
  const RunFolder first = RunFolder::create(job_in(scratch.path() / "runs"), "");
  const RunFolder second = RunFolder::create(job_in(scratch.path() / "runs"), "");
  CHECK(first.path() == scratch.path() / "runs" / "mnist");
  CHECK(second.path() == scratch.path() / "runs" / "mnist-2");
  for (const RunFolder* run : {&first, &second}) {
    struct stat info {};
    REQUIRE(::stat(run->path().c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0700);
    CHECK(fs::is_directory(run->path() / "logs"));
    CHECK(fs::is_directory(run->path() / "checkpoints"));
  }
  CHECK(first.log("worker", 3) == first.path() / "logs" / "worker-3.log");
}

TEST_CASE("with if_exists: fail an existing folder is refused by name and with the remedy") {
  const Scratch scratch;
  const job::Job job = job_in(scratch.path(), job::IfExists::fail);
  RunFolder::create(job, "");
  const auto [kind, text] = error_of([&] { RunFolder::create(job, ""); });
  CHECK(kind == Kind::environment);
  CHECK(contains(text, (scratch.path() / "mnist").string()));
  CHECK(contains(text, "output.if_exists"));
}

TEST_CASE("a folder that somebody trains in is neither resumed nor replaced") {
  const Scratch scratch;
  const job::Job job = job_in(scratch.path(), job::IfExists::replace);
  std::optional<RunFolder> run(RunFolder::create(job, ""));
  const fs::path path = run->path();
  write_file(path / "resolved.yaml", "name: mnist\n");
  CHECK(contains(error_of([&] { RunFolder::create(job, ""); }).second, "in use"));
  CHECK(contains(error_of([&] { RunFolder::open(path); }).second, "in use"));
  run.reset();
  CHECK(RunFolder::open(path).path() == path);
  CHECK(RunFolder::create(job, "").path() == path);
}

TEST_CASE("replace removes an old run, but never a folder that is no run") {
  const Scratch scratch;
  const job::Job job = job_in(scratch.path(), job::IfExists::replace);
  const fs::path path = RunFolder::create(job, "").path();
  write_file(path / "precious.txt", "not a run's");
  CHECK(error_of([&] { RunFolder::create(job, ""); }).first == Kind::environment);
  CHECK(fs::exists(path / "precious.txt"));
  write_file(path / "resolved.yaml", "name: mnist\n");
  CHECK(RunFolder::create(job, "").path() == path);
  CHECK_FALSE(fs::exists(path / "precious.txt"));
}

TEST_CASE("replace does not follow a link to another run") {
  const Scratch scratch;
  fs::create_directory(scratch.path() / "other");
  write_file(scratch.path() / "other" / "resolved.yaml", "name: other\n");
  fs::create_directory_symlink(scratch.path() / "other", scratch.path() / "mnist");
  const job::Job job = job_in(scratch.path(), job::IfExists::replace);
  CHECK(error_of([&] { RunFolder::create(job, ""); }).first == Kind::environment);
  CHECK(fs::exists(scratch.path() / "other" / "resolved.yaml"));
}

TEST_CASE("--out takes a new or empty folder and no other") {
  const Scratch scratch;
  const fs::path out = scratch.path() / "a" / "b";
  CHECK(RunFolder::create(job_in(scratch.path()), out.string() + "/").path() == out);
  const auto [kind, text] = error_of([&] { RunFolder::create(job_in(scratch.path()), out.string()); });
  CHECK(kind == Kind::environment);
  CHECK(contains(text, out.string()));
  fs::create_directory(scratch.path() / "empty");
  CHECK_NOTHROW(RunFolder::create(job_in(scratch.path()), (scratch.path() / "empty").string()));
}

TEST_CASE("only the folder of a run can be opened for resuming") {
  const Scratch scratch;
  CHECK(error_of([&] { RunFolder::open(scratch.path() / "absent"); }).first == Kind::checkpoint);
  CHECK(error_of([&] { RunFolder::open(scratch.path()); }).first == Kind::checkpoint);
  write_file(scratch.path() / "resolved.yaml", "name: x\n");
  CHECK(RunFolder::open(scratch.path()).path() == scratch.path());
}

TEST_CASE("metrics are one object a line, also after a crash in mid-line") {
  const Scratch scratch;
  const fs::path file = scratch.path() / "metrics.jsonl";
  MetricsFile(file).write({{"event", "step"}, {"step", 1}, {"loss", 0.5}});
  std::string text = read_file(file, Kind::environment);
  write_file(file, text + R"({"event":"step","st)");
  MetricsFile(file).write({{"event", "step"}, {"step", 2}, {"loss", 0.25}});
  const History history = parse_history(read_file(file, Kind::environment));
  CHECK(history.damaged_lines == 1);
  REQUIRE(history.loss.size() == 2);
  CHECK(history.loss[1].y == 0.25);
  CHECK(Json::parse(text).contains("time"));
}

TEST_CASE("a metrics file that cannot grow is an error of the environment that names it") {
  const Scratch scratch;
  const auto [kind, text] = error_of([&] { MetricsFile("/dev/full").write({{"event", "step"}}); });
  CHECK(kind == Kind::environment);
  CHECK(contains(text, "/dev/full"));
  CHECK(contains(text, "No space left on device"));
}

TEST_CASE("the live line tells name, epoch, step, loss, speed, test and time left") {
  const std::string line = live_line("mnist", status_at(1404), 12.4, {140, false, true});
  CHECK(contains(line, "mnist  epoch 3/10  ━━"));
  CHECK(contains(line, "  step 1,404/4,690  loss 0.08123  61,200 samples/s  test accuracy 0.9742  ETA 12 s"));
}

TEST_CASE("the live line never reaches the terminal's last column, and keeps the step longest") {
  for (int columns = 1; columns <= 200; ++columns) {
    CAPTURE(columns);
    const std::string line = live_line("a-long-name", status_at(1404), 12.4, {columns, false, true});
    CHECK(columns_of(line) < std::max(columns, 2));
    if (columns > 16) CHECK(contains(line, "step 1,404/4,690"));
  }
}

TEST_CASE("the bar is full exactly at the end and empty at the start") {
  Status status = status_at(4690);
  CHECK_FALSE(contains(live_line("x", status, -1, {120, false, true}), "─"));
  status.step = 4689;
  CHECK(contains(live_line("x", status, -1, {120, false, true}), "╸"));
  status.step = 0;
  CHECK_FALSE(contains(live_line("x", status, -1, {120, false, true}), "━"));
  CHECK_FALSE(contains(live_line("x", status, -1, {120, false, true}), "loss"));
}

TEST_CASE("without colour there is no escape code, and without UTF-8 nothing but ASCII") {
  const std::string line = live_line("x", status_at(1404), 5, {120, false, false});
  CHECK(std::all_of(line.begin(), line.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
  CHECK(contains(live_line("x", status_at(1404), 5, {120, true, true}), "\x1b["));
}

TEST_CASE("progress draws once an interval, and always when forced") {
  const Caught caught;
  Progress progress(Progress::Mode::plain, false, "mnist", caught.fd());
  const Clock::time_point start = Clock::now();
  progress.update(status_at(1), false, start);
  progress.update(status_at(2), false, start + std::chrono::milliseconds(4999));
  CHECK(times(caught.text(), "\n") == 1);
  progress.update(status_at(3), false, start + std::chrono::milliseconds(5000));
  CHECK(times(caught.text(), "\n") == 2);
  progress.update(status_at(4), true, start + std::chrono::milliseconds(5001));
  CHECK(times(caught.text(), "\n") == 3);
  CHECK(contains(caught.text(), "mnist: epoch 3/10, step 4/4,690, loss 0.08123"));
}

TEST_CASE("the time left follows from the steps done since the start, not from those of an earlier run") {
  const Caught caught;
  Progress progress(Progress::Mode::plain, false, "x", caught.fd());
  const Clock::time_point start = Clock::now();
  progress.update(status_at(4000), true, start);
  CHECK_FALSE(contains(caught.text(), "ETA"));
  progress.update(status_at(4090), true, start + std::chrono::seconds(9));
  CHECK(contains(caught.text(), "ETA 60 s"));
}

TEST_CASE("a line appears above the live one, which ends with the progress") {
  const Caught caught;
  {
    Progress progress(Progress::Mode::live, true, "x", caught.fd());
    progress.update(status_at(1), true);
    progress.line("worker 1 joined");
  }
  const std::string text = caught.text();
  CHECK(contains(text, "\rworker 1 joined\x1b[K\n\r"));
  CHECK(text.back() == '\n');
  CHECK(times(text, "\n") == 2);
}

TEST_CASE("a quiet progress writes nothing") {
  const Caught caught;
  {
    Progress progress(Progress::Mode::none, true, "x", caught.fd());
    progress.update(status_at(1), true);
    progress.line("news");
  }
  CHECK(caught.text().empty());
}

TEST_CASE("a metric is found nested, flat, and under names that hold dots") {
  const Json summary = Json::parse(R"({"test":{"accuracy":0.9,"a":{"b":1}},"train.loss":0.5,"x":{"y.z":2},
    "name":"n","flag":true,"none":null})");
  CHECK(metric(summary, "test.accuracy") == 0.9);
  CHECK(metric(summary, "test.a.b") == 1.0);
  CHECK(metric(summary, "train.loss") == 0.5);
  CHECK(metric(summary, "x.y.z") == 2.0);
  for (const char* name : {"test", "name", "flag", "none", "test.", ".", "", "test.accuracy.x"}) {
    CAPTURE(name);
    CHECK_FALSE(metric(summary, name));
  }
}

TEST_CASE("an assertion fails when it does not hold, and when there is nothing to hold it to") {
  const Json summary = {{"test", {{"accuracy", 0.9512}}}, {"bad", std::numeric_limits<double>::quiet_NaN()}};
  auto failed = [&](const std::string& name, const std::string& comparison, double bound) {
    return failed_assertions({{name, comparison, bound, name + " " + comparison + " X"}}, summary);
  };
  CHECK(failed_assertions({{"test.accuracy", ">=", 0.97, "test.accuracy >= 0.97"}}, summary) ==
        std::vector<std::string>{"assertion failed: test.accuracy >= 0.97, got 0.9512"});
  for (const char* holds : {">", ">=", "!="}) CHECK(failed("test.accuracy", holds, 0.95).empty());
  for (const char* breaks : {"<", "<=", "=="}) CHECK(failed("test.accuracy", breaks, 0.95).size() == 1);
  for (const char* holds : {">=", "<=", "=="}) CHECK(failed("test.accuracy", holds, 0.9512).empty());
  CHECK(contains(failed("test.auc", ">", 0).at(0), "test.auc"));
  CHECK(failed("bad", "!=", 0).size() == 1);
}

TEST_CASE("the closing lines tell the outcome, the metrics, where time went and what to do next") {
  const std::string text = render_summary(example_summary());
  for (const char* part :
       {"mnist: done in 12.3 s (10 epochs, 4,690 steps, asp, 2 workers, 1 server)", "test accuracy   0.9812",
        "61,200 samples/s", "15.3 GB sent", "90.0 %", "70.0 %", "mean 1.50", "3f2a91c0d4e5f607",
        "runs/mnist/model.safetensors", "dtrain predict runs/mnist --data FILE"}) {
    CAPTURE(part);
    CHECK_MESSAGE(contains(text, part), text);
  }
  CHECK(times(text, " \n") == 0);
}

TEST_CASE("metrics keep their digits however small or large they are, and what is no number has no sign") {
  Json summary = example_summary();
  for (const auto& [value, shown] : std::vector<std::pair<double, const char*>>{{53769.04391, " 53769.0439\n"},
                                                                                {0, " 0.0000\n"},
                                                                                {0.000123456, " 0.0001235\n"},
                                                                                {1.25e-9, " 1.25e-09\n"},
                                                                                {1.596e30, " 1.596e+30\n"},
                                                                                {-std::nan(""), " nan\n"}}) {
    summary["train"]["loss"] = value;
    CAPTURE(shown);
    CHECK(contains(render_summary(summary), shown));
  }
}

TEST_CASE("a run that was stopped says why and how to go on") {
  Json summary = example_summary();
  summary["status"] = "stopped";
  summary["reason"] = "out of time";
  const std::string text = render_summary(summary);
  CHECK(contains(text, "out of time"));
  CHECK(contains(text, "dtrain resume runs/mnist"));
  CHECK_FALSE(contains(text, "model.safetensors"));
  summary["run"] = "my runs/it's";
  CHECK(contains(render_summary(summary), R"(dtrain resume 'my runs/it'\''s')"));
}

TEST_CASE("a summary of any shape can be rendered and compared") {
  for (const char* text : {"{}", R"({"test":3,"roles":{},"staleness":[],"weights":null,"seconds":"x"})",
                           R"({"roles":[1,{"role":2,"rank":1e300}],"staleness":{"histogram":{"x":1,"2":"y"}}})"}) {
    const Json summary = Json::parse(text);
    CAPTURE(text);
    CHECK_NOTHROW(render_summary(summary));
    CHECK_NOTHROW(render_comparison(compare(summary, summary)));
    CHECK_FALSE(compare(summary, summary)["same_weights"].get<bool>());
  }
}

TEST_CASE("a comparison has the ratio of b to a, and knows equal weights") {
  const Json a = example_summary();
  Json b = a;
  b["samples_per_second"] = 122400.8;
  b["workers"] = 4;
  b["test"]["auc"] = 0.5;
  const Json same = compare(a, b);
  CHECK(same["same_weights"].get<bool>());
  bool seen = false;
  for (const Json& row : same["rows"]) {
    if (row["name"] == "samples_per_second") {
      seen = true;
      CHECK(row["ratio"].get<double>() == doctest::Approx(2));
    }
    if (row["name"] == "test.auc") CHECK(row["ratio"].is_null());
  }
  CHECK(seen);
  REQUIRE(same["settings"].size() == 1);
  CHECK(same["settings"][0]["name"] == "workers");
  b["weights"]["sha256"] = "0";
  CHECK_FALSE(compare(a, b)["same_weights"].get<bool>());
  CHECK(contains(render_comparison(compare(a, b)), "the weights differ"));
}

TEST_CASE("a summary is read only from a run that has ended") {
  const Scratch scratch;
  CHECK(error_of([&] { read_summary(scratch.path()); }).first == Kind::usage);
  write_file(scratch.path() / "resolved.yaml", "name: x\n");
  CHECK(contains(error_of([&] { read_summary(scratch.path()); }).second, "has not ended"));
  write_file(scratch.path() / "summary.json", "{\"steps\": 3");
  CHECK(error_of([&] { read_summary(scratch.path()); }).first == Kind::usage);
  write_file(scratch.path() / "summary.json", "{\"steps\": 3}");
  CHECK(metric(read_summary(scratch.path()), "steps") == 3.0);
}

TEST_CASE("what a resumed run repeats replaces what was told before it") {
  const History history = parse_history(R"({"event":"step","step":10,"loss":1}
{"event":"step","step":20,"loss":2}
{"event":"step","step":30,"loss":3}
{"event":"resume","step":10}
{"event":"step","step":20,"loss":4}
)");
  REQUIRE(history.loss.size() == 2);
  CHECK(history.loss[1].y == 4);
}

TEST_CASE("marks of an axis are round, ascending and inside") {
  CHECK(ticks(0, 1, 5) == std::vector<double>{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1});
  CHECK(ticks(0, 4690, 6).back() == 4000);
  CHECK(ticks(1, 1, 5).empty());
}

TEST_CASE("thinning keeps the last point and the mean") {
  Curve curve;
  for (int k = 0; k < 10000; ++k) curve.push_back({double(k), double(k % 2)});
  const Curve thinned = thin(curve, 101);
  CHECK(thinned.size() == 101);
  CHECK(thinned[3].y == doctest::Approx(0.5));
  CHECK(thinned.back().x == 9999);
}

TEST_CASE("text from a run cannot leave its place in the page") {
  CHECK(escape("<a href=\"x\">&'") == "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
  CHECK(escape("gr\xc3\xbc\xc3\x9f\xff\x01 e") == "gr\xc3\xbc\xc3\x9f   e");
  const Scratch scratch;
  const std::string evil = "</pre><script>alert(1)</script>";
  write_file(scratch.path() / "resolved.yaml", evil);
  write_file(scratch.path() / "plan.json", Json({{evil, evil}}).dump());
  Json summary = example_summary();
  summary["name"] = summary["reason"] = summary["status"] = evil;
  summary["roles"][0]["role"] = evil;
  summary["test"] = {{evil, 1.0}};
  write_file(scratch.path() / "summary.json", summary.dump());
  const Json fault = {{"event", "fault"}, {"role", evil}, {"what", evil}, {"time", evil}, {"step", 1}};
  const Json eval = {{"event", "eval"}, {"step", 1}, {"test", {{evil, 0.5}}}};
  write_file(scratch.path() / "metrics.jsonl", fault.dump() + "\n" + eval.dump() + "\n");
  const std::string page = render_page(scratch.path());
  CHECK_FALSE(contains(page, "<script"));
  CHECK(contains(page, "&lt;script&gt;"));
}

TEST_CASE("the page of an unfinished run shows what there is, and fetches nothing") {
  const Scratch scratch;
  CHECK(contains(render_page(scratch.path()), "unfinished"));
  write_file(scratch.path() / "metrics.jsonl",
             "{\"event\":\"step\",\"step\":1,\"loss\":2.3}\n{\"event\":\"step\",\"step\":50,\"loss\":0.3}\n"
             "{\"event\":\"step\",\"step\":100,\"loss\":null}\nnonsense\n{\"event\":\"step\",\"step\":150,\"lo");
  write_file(scratch.path() / "summary.json", "{\"name\": ");
  const std::string page = render_page(scratch.path());
  CHECK(contains(page, "<polyline"));
  CHECK(contains(page, "2 damaged line(s)"));
  for (const char* outside : {"http:", "https:", "@import", "<link", "src="}) CHECK_FALSE(contains(page, outside));
}

TEST_CASE("numbers of any size leave the page whole") {
  const Scratch scratch;
  std::string lines;
  for (const char* value : {"1e308", "-1e308", "0", "1e-308", "5e-324"}) {
    static int step = 0;
    lines += "{\"event\":\"step\",\"step\":" + std::to_string(++step) + ",\"loss\":" + value +
             ",\"learning_rate\":1e-300,\"samples_per_second\":" + value + "}\n";
  }
  lines += R"({"event":"fault","rank":1e300,"step":1e300,"time":1e300})";
  write_file(scratch.path() / "metrics.jsonl", lines);
  const std::string page = render_page(scratch.path());
  CHECK_FALSE(contains(page, "nan"));
  CHECK(contains(page, "</html>"));
}
