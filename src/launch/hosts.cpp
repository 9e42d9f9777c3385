#include "launch/hosts.hpp"

#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/text.hpp"

namespace dtrain::launch {
namespace {

namespace fs = std::filesystem;

std::string shell_word(const std::string& word) {
  constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@%+=:,./_-";
  if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

/// Where the shell would find a program.
fs::path find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  for (const std::string& folder : split(path != nullptr ? path : "/usr/bin:/bin", ':')) {
    const fs::path file = fs::path(folder.empty() ? "." : folder) / name;
    std::error_code ignored;
    if (fs::is_regular_file(file, ignored) && ::access(file.c_str(), X_OK) == 0) return file;
  }
  fail(Kind::environment,
       "roles on other hosts are started by {}, which is not on the PATH: install it, or set topology.launch to print",
       name);
}

class Ssh : public Launcher {
 public:
  explicit Ssh(std::string program) : program_(std::move(program)), ssh_(find_program("ssh")) {}

  std::optional<Child> start(const RemoteRole& role) override {
    Command command;
    command.name = role.name;
    command.binary = ssh_;
    command.arguments = {"-o", "BatchMode=yes", "-o", "ConnectTimeout=10", role.host, remote_line(role)};
    command.input = role.token;
    command.log = role.log;
    return Child(command);
  }

 private:
  std::string remote_line(const RemoteRole& role) const {
    std::vector<std::string> words{"env"};
    for (const auto& [name, value] : role.environment) words.push_back(name + "=" + value);
    words.push_back(program_);
    words.insert(words.end(), role.arguments.begin(), role.arguments.end());
    words.insert(words.end(), {"--token-file", "/dev/stdin"});
    return shell_line(words);
  }

  std::string program_;
  fs::path ssh_;
};

class Printing : public Launcher {
 public:
  Printing(std::string program, std::function<void(const std::string&)> tell)
      : program_(std::move(program)), tell_(std::move(tell)) {}

  std::optional<Child> start(const RemoteRole& role) override {
    std::vector<std::string> words{program_};
    words.insert(words.end(), role.arguments.begin(), role.arguments.end());
    if (!role.token_file.empty()) words.insert(words.end(), {"--token-file", role.token_file});
    tell_(fmt::format("on {}: {}", role.host, shell_line(words)));
    return std::nullopt;
  }

 private:
  std::string program_;
  std::function<void(const std::string&)> tell_;
};

}  // namespace

std::unique_ptr<Launcher> ssh_launcher(std::string program) { return std::make_unique<Ssh>(std::move(program)); }

std::unique_ptr<Launcher> printing_launcher(std::string program, std::function<void(const std::string&)> tell) {
  return std::make_unique<Printing>(std::move(program), std::move(tell));
}

std::string shell_line(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + shell_word(word);
  return line;
}

std::string last_line(const fs::path& log) {
  constexpr std::size_t longest = 300;
  std::ifstream file(log);
  std::string last;
  for (std::string line; std::getline(file, line);)
    if (!trim(line).empty()) last = line.substr(0, longest);
  std::string shown;
  for (const char c : trim(last))
    if (static_cast<unsigned char>(c) >= ' ' && c != 0x7f) shown += c;
  return shown;
}

}  // namespace dtrain::launch
