#pragma once
/// What the readers of text formats are given, and how they are to go about it.

#include <string>
#include <string_view>
#include <vector>

#include "data/origin.hpp"

namespace dtrain::data {

/// An unpacked file, and its name as the job has it.
struct TextFile {
  std::string name;
  std::string_view text;
};

/// How the work is cut; what is read does not depend on it.
struct Cutting {
  std::size_t part_bytes = std::size_t{4} << 20;
  std::size_t threads = 0;  ///< 0: the cores that may be used
};

/// Of all files, in order.
std::uint64_t hash_of(const std::vector<TextFile>& files);

/// Files without rows in them yet.
Origin origin_of(Origin::Form form, const std::string& folder, const std::vector<TextFile>& files);

}  // namespace dtrain::data
