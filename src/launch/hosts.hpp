#pragma once
/// Roles on other hosts: started by way of ssh, or by a person who is told how.
///
/// Secrets pass by stdin only, never on a command line, which everybody on a host may read.

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "launch/children.hpp"

namespace dtrain::launch {

/// A role that is to run on another host.
struct RemoteRole {
  std::string name;                                              ///< "worker 1", for messages
  std::string host;                                              ///< as ssh takes it
  std::vector<std::string> arguments;                            ///< of the program there, its verb first
  std::vector<std::pair<std::string, std::string>> environment;  ///< of the program there
  std::string token;                                             ///< that it is handed
  std::string token_file;                                        ///< in which a person finds one; "": none is needed
  std::filesystem::path log;                                     ///< of what it, or ssh, has to say
};

/// One way of starting roles elsewhere. Used by one thread.
class Launcher {
 public:
  virtual ~Launcher() = default;
  /// The process of this machine that ends when the role does, if there is one. Throws Error(Kind::environment).
  virtual std::optional<Child> start(const RemoteRole& role) = 0;
};

/// `program`: what dtrain is called there. Each role is an ssh of its own, which asks for nothing (BatchMode); the role
/// gives up joining when its stdin ends. The far end of a connection that broke is told by its own connection to the
/// run.
std::unique_ptr<Launcher> ssh_launcher(std::string program);

/// Hands each line to `tell`, for a person to give on that host.
std::unique_ptr<Launcher> printing_launcher(std::string program, std::function<void(const std::string& line)> tell);

/// Words as one command of a POSIX shell.
std::string shell_line(const std::vector<std::string>& words);

/// The last line of a role's log, fit to be printed; "" if there is none.
std::string last_line(const std::filesystem::path& log);

}  // namespace dtrain::launch
