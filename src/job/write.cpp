#include <fmt/format.h>

#include "job/key.hpp"
#include "job/read.hpp"

namespace dtrain::job {
namespace {

bool is_plain(const std::string& text) {
  constexpr std::string_view first = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._";
  constexpr std::string_view later = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._+-";
  if (text.empty() || first.find(text.front()) == std::string_view::npos) return false;
  if (text.find_first_not_of(later) != std::string::npos) return false;
  return text != "null" && text != "Null" && text != "NULL" && text.substr(0, 3) != "...";
}

std::string indent(const std::string& path) {
  std::size_t depth = 0;
  for (const char c : path) depth += c == '.' ? 1 : 0;
  return std::string(2 * depth, ' ');
}

/// The maps of a list, one key a line.
std::string entries_text(const Key& list, Job& job) {
  std::string out;
  const std::string margin = indent(list.info.path) + "  ";
  for (std::size_t entry = 0; entry < list.list.size(job); ++entry) {
    bool first = true;
    for (const Key& key : table()) {
      if (!key.in_list() || key.list_path() != list.info.path) continue;
      out += fmt::format("{}{} {}: {}\n", margin, first ? '-' : ' ', name_of(key.info.path), key.get(job, entry));
      first = false;
    }
  }
  return out;
}

std::string line_of(const Key& key, Job& job) {
  const std::string name = indent(key.info.path) + name_of(key.info.path) + ":";
  if (key.shape == Shape::list_of_maps)
    return name + (key.list.size(job) == 0 ? " []\n" : "\n" + entries_text(key, job));
  return key.get ? fmt::format("{} {}\n", name, key.get(job, 0)) : name + "\n";
}

}  // namespace

std::string to_yaml(const std::string& text) {
  if (is_plain(text)) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\t' ? std::string("\\t") : std::string(1, c);
  }
  return out + "\"";
}

std::string write_job(const Job& job) {
  Job copy = job;
  std::string out;
  for (const Key& key : table())
    if (!key.in_list()) out += line_of(key, copy);
  return out;
}

}  // namespace dtrain::job
