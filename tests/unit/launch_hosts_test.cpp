#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/error.hpp"
#include "launch/hosts.hpp"

using namespace dtrain;
using namespace dtrain::launch;
namespace fs = std::filesystem;

namespace {

constexpr Seconds long_enough{20};

/// A folder with an `ssh` that does what it is told to, first on the PATH while it lives.
struct StandIn {
  explicit StandIn(const std::string& script) : old(std::getenv("PATH")) {
    std::string name = (fs::temp_directory_path() / "hosts-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder = name;
    std::ofstream(folder / "ssh") << "#!/bin/sh\n" << script;
    ::chmod((folder / "ssh").c_str(), 0700);
    ::setenv("PATH", (name + ":" + old).c_str(), 1);
  }
  ~StandIn() {
    ::setenv("PATH", old.c_str(), 1);
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  }
  std::string log() const {
    std::ostringstream text;
    text << std::ifstream(folder / "log").rdbuf();
    return text.str();
  }
  std::string old;
  fs::path folder;
};

RemoteRole role_of(const StandIn& ssh) {
  RemoteRole role;
  role.name = "worker 1";
  role.host = "u@b";
  role.arguments = {"worker", "--connect", "tcp://10.0.0.1:7", "--data-dir", "/a b/it's"};
  role.environment = {{"OMP_NUM_THREADS", "2"}};
  role.token = "secret text";
  role.log = ssh.folder / "log";
  return role;
}

}  // namespace

TEST_CASE("a line for a shell has its words back, whatever is in them") {
  CHECK(shell_line({"dtrain", "worker", "--connect", "tcp://10.0.0.1:7000"}) ==
        "dtrain worker --connect tcp://10.0.0.1:7000");
  CHECK(shell_line({"", "a b", "it's", "$(x)", "~", "*"}) == "'' 'a b' 'it'\\''s' '$(x)' '~' '*'");
}

TEST_CASE("a role elsewhere is started by one ssh, whose words hold no secret and whose stdin does") {
  const StandIn ssh("printf '%s\\n' \"$@\"; head -c 11; echo; exit 7");
  const auto launcher = ssh_launcher("/opt/dtrain");
  std::optional<Child> child = launcher->start(role_of(ssh));
  REQUIRE(child);
  CHECK(child->finish(long_enough).code == 7);
  CHECK(ssh.log() ==
        "-o\nBatchMode=yes\n-o\nConnectTimeout=10\nu@b\nenv OMP_NUM_THREADS=2 /opt/dtrain worker --connect "
        "tcp://10.0.0.1:7 --data-dir '/a b/it'\\''s' --token-file /dev/stdin\nsecret text\n");
}

TEST_CASE("the stdin of a role elsewhere ends when it is told to finish, and not before") {
  const StandIn ssh("head -c 11 > /dev/null; read more; echo ended");
  std::optional<Child> child = ssh_launcher("dtrain")->start(role_of(ssh));
  REQUIRE(child);
  CHECK_FALSE(child->ended());
  CHECK(ssh.log().empty());
  CHECK(child->finish(long_enough).signal == 0);
  CHECK(last_line(ssh.folder / "log") == "ended");
}

TEST_CASE("without an ssh nothing is started, and the line says what to do") {
  const StandIn ssh("");
  ::setenv("PATH", "/nowhere", 1);
  try {
    ssh_launcher("dtrain");
    FAIL("an ssh was found");
  } catch (const Error& error) {
    CHECK(error.kind() == Kind::environment);
    CHECK(std::string(error.what()).find("set topology.launch to print") != std::string::npos);
  }
}

TEST_CASE("a line to be given by hand names its host and where the token lies, and starts nothing") {
  const StandIn ssh("");
  std::vector<std::string> lines;
  const auto launcher = printing_launcher("dtrain", [&](const std::string& line) { lines.push_back(line); });
  RemoteRole role = role_of(ssh);
  role.token_file = "runs/a/token";
  CHECK_FALSE(launcher->start(role).has_value());
  REQUIRE(lines.size() == 1);
  CHECK(lines[0] ==
        "on u@b: dtrain worker --connect tcp://10.0.0.1:7 --data-dir '/a b/it'\\''s' --token-file runs/a/token");
}

TEST_CASE("the last line of a log is what a person can read of it") {
  const StandIn ssh("");
  CHECK(last_line(ssh.folder / "none").empty());
  std::ofstream(ssh.folder / "log") << "one\n\x1b[31mtwo\x07\n\n  \n";
  CHECK(last_line(ssh.folder / "log") == "[31mtwo");
}

TEST_CASE("input has ended when its other end is closed, and what came before is dropped") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  CHECK_FALSE(input_ended(ends[0]));
  REQUIRE(::write(ends[1], "abc", 3) == 3);
  CHECK_FALSE(input_ended(ends[0]));
  ::close(ends[1]);
  CHECK(input_ended(ends[0]));
  ::close(ends[0]);
}
