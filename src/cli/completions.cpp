#include "cli/completions.hpp"

#include "cli/output.hpp"
#include "cli/verbs.hpp"

namespace dtrain::cli {

std::string filled(std::string text, const std::vector<std::pair<std::string, std::string>>& values) {
  for (const auto& [name, value] : values) {
    const std::string mark = "@" + name + "@";
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size()))
      text.replace(at, mark.size(), value);
  }
  return text;
}

std::vector<const job::KeyInfo*> settable_keys() {
  std::vector<const job::KeyInfo*> keys;
  for (const job::KeyInfo& key : job::keys())
    if (key.type.find("map") == std::string::npos && key.path.find("[]") == std::string::npos) keys.push_back(&key);
  return keys;
}

std::vector<std::string> explainable_keys() {
  std::vector<std::string> paths;
  for (const job::KeyInfo& key : job::keys()) {
    std::string path = key.path;
    if (const std::size_t list = path.find("[]"); list != std::string::npos) path.erase(list, 2);
    paths.push_back(path);
  }
  return paths;
}

int completions(const Options& options) {
  if (options.shell == "bash") print_text(options, "script", bash_completions());
  if (options.shell == "zsh") print_text(options, "script", zsh_completions());
  if (options.shell == "fish") print_text(options, "script", fish_completions());
  return 0;
}

}  // namespace dtrain::cli
