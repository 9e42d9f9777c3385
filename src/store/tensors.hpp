#pragma once
/// safetensors files (https://github.com/huggingface/safetensors, format description): an 8-byte little-endian header
/// length, a JSON header, then the numbers. F32 only.

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/random.hpp"

namespace dtrain::store {

struct NamedTensor {
  std::string name;
  std::vector<Index> shape;
  std::span<const float> values;
};

struct TensorFile {
  struct Entry {
    std::vector<Index> shape;
    std::span<const float> values;
  };
  std::map<std::string, std::string> metadata;
  std::vector<std::pair<std::string, Entry>> tensors;  ///< in file order
  std::vector<float> storage;
  const Entry* find(const std::string& name) const;
};

/// Names and metadata in the order given. Throws Error(Kind::environment).
void write_tensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                   const std::vector<std::pair<std::string, std::string>>& metadata);

/// Refuses (Error of `kind`, with the path and what is wrong): a header longer than the file or than 100 MB, JSON that
/// is no header, dtypes other than F32, shapes that do not match their ranges, ranges that overlap, leave holes or
/// leave the file.
TensorFile read_tensors(const std::filesystem::path& path, Kind kind);

}  // namespace dtrain::store
