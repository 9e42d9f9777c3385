#pragma once
/// JSON from a file that may have been tampered with: bounded depth and width, no key given twice.

#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"

namespace dtrain::store {

struct JsonLimits {
  int depth = 32;
  /// Of one object. The ordered document looks keys up one by one, so its width has to be bounded; std::map has not.
  std::size_t keys = 1024;
};

/// Throws std::runtime_error with a reason that fits behind "PATH: ".
template <class Document>
Document parse_strict(std::string_view text, JsonLimits limits) {
  std::vector<std::set<std::string>> keys;
  auto inspect = [&](int depth, auto event, Document& value) {
    using Event = decltype(event);
    if (event == Event::object_start || event == Event::array_start) {
      if (depth >= limits.depth) throw std::runtime_error("JSON nested too deeply");
      keys.emplace_back();
    } else if (event == Event::object_end || event == Event::array_end) {
      keys.pop_back();
    } else if (event == Event::key) {
      const auto& name = value.template get_ref<const std::string&>();
      if (!keys.back().insert(name).second) throw std::runtime_error("key \"" + name + "\" given twice");
      if (keys.back().size() > limits.keys) throw std::runtime_error("too many keys in one JSON object");
    }
    return true;
  };
  try {
    return Document::parse(text.begin(), text.end(), inspect);
  } catch (const nlohmann::detail::exception& error) {
    // The message quotes what was read last, which may be the whole file.
    throw std::runtime_error("not JSON: " + std::string(error.what()).substr(0, 200));
  }
}

}  // namespace dtrain::store
