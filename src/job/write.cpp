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

std::string layers_text(Job& job) {
  std::string out;
  for (std::size_t layer = 0; layer < job.model.layers.size(); ++layer) {
    bool first = true;
    for (const Key& key : table()) {
      if (!key.in_layer()) continue;
      out += fmt::format("    {} {}: {}\n", first ? '-' : ' ', name_of(key.info.path), key.get(job, layer));
      first = false;
    }
  }
  return out;
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
  for (const Key& key : table()) {
    if (key.in_layer()) continue;
    const std::string name = indent(key.info.path) + name_of(key.info.path);
    out += key.get ? fmt::format("{}: {}\n", name, key.get(copy, 0)) : name + ":\n";
    if (key.shape == Shape::list_of_maps) out += layers_text(copy);
  }
  return out;
}

}  // namespace dtrain::job
