#pragma once
/// Which files rows came from and how they are found there again: for messages only.

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/random.hpp"  // Index

namespace dtrain::data {

/// Values of one size that follow one another in a binary file.
struct Extent {
  std::uint64_t begin = 0, value_bytes = 1;
};

struct Origin {
  enum class Form { binary, csv, libsvm };
  struct File {
    std::string name;    ///< as the job names it
    std::string labels;  ///< of binary files: the one with the labels; "" if there is none
    Index first_row = 0;
    Extent values, label_values;  ///< of binary files
  };

  Form form = Form::binary;
  std::string folder;  ///< names are relative to it; not kept in a file
  std::vector<File> files;
  char delimiter = ',';              ///< csv
  std::vector<std::int32_t> fields;  ///< csv: the field of each column, then the target's; -1: none

  const File& file_of(Index row) const;
  /// "folder/name"
  std::string path(const std::string& name) const;

  /// Where cell `column` of a row of `width` columns stands; the target's is `column` = width.
  Error error(Index row, std::uint32_t line, Index column, Index width, std::string message) const;

  Json to_json() const;
  /// Throws Json::exception, or Error(Kind::data).
  static Origin from_json(const Json& json);

 private:
  int byte_column(const std::string& path, std::uint32_t line, Index column, Index width) const;
};

}  // namespace dtrain::data
