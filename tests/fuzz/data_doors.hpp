#pragma once
/// What the fuzzers of the data readers run, and the unit test on their corpora: bytes in, rows or a data error out.

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "data/contents.hpp"
#include "data/csv.hpp"
#include "data/idx.hpp"
#include "data/libsvm.hpp"
#include "data/normalize.hpp"

namespace dtrain::data::doors {

/// A model that takes any number for a target, or classes.
inline job::Model model_for(job::Loss loss) {
  job::Model model;
  model.loss = loss;
  model.layers.emplace_back().dense = loss == job::Loss::softmax_cross_entropy ? 10 : 1;
  return model;
}

/// True if the bytes are rows; false if they are refused. Anything but Error(Kind::data) gets out.
template <class Open>
bool try_rows(const std::string& bytes, job::Loss loss, Open open) {
  try {
    const auto source = open(unpack(bytes, "input"));
    const Encoding encoding = source->survey(model_for(loss), {});
    if (encoding.width > 1'000'000) return true;  // a row of its own would exhaust the fuzzer's memory
    const Decoded rows = source->decode(encoding, true);
    const float zero = 0, one = 1;
    std::vector<float> features(static_cast<std::size_t>(rows.features->width()));
    for (Index row = 0; row < rows.features->rows(); ++row) {
      rows.features->encode(static_cast<std::uint32_t>(row), {{&zero, 1}, {&one, 1}}, features.data());
      for (const float feature : features)
        if (!std::isfinite(feature)) throw Error(Kind::internal, "a row that is not finite was let in");
    }
    if (std::ssize(rows.targets) != rows.features->rows()) throw Error(Kind::internal, "rows without targets");
    return true;
  } catch (const Error& error) {
    if (error.kind() != Kind::data) throw;
    return false;
  }
}

/// The same bytes are images and their labels: what fits as the one rarely fits as the other, but both are parsed.
inline bool try_idx(const std::string& bytes) {
  return try_rows(bytes, job::Loss::mean_squared_error, [](std::string text) {
    std::vector<IdxArray> labels;
    labels.push_back(parse_idx(text, "input"));
    return idx_source(parse_idx(std::move(text), "input"), std::move(labels));
  });
}

/// The first byte chooses delimiter, header and how missing values are treated.
inline bool try_csv(const std::string& bytes) {
  if (bytes.empty()) return false;
  const auto choice = static_cast<unsigned char>(bytes[0]);
  const char* delimiters[] = {",", ";", "tab", "space"};
  job::Csv csv;
  csv.delimiter = delimiters[choice & 3];
  csv.header = (choice & 4) != 0;
  csv.missing = (choice & 8) != 0 ? job::Missing::mean : job::Missing::error;
  const auto loss = (choice & 16) != 0 ? job::Loss::mean_squared_error : job::Loss::softmax_cross_entropy;
  return try_rows(bytes.substr(1), loss, [&](std::string text) { return csv_source(std::move(text), "input", csv); });
}

inline bool try_libsvm(const std::string& bytes) {
  return try_rows(bytes, job::Loss::mean_squared_error,
                  [](std::string text) { return libsvm_source(std::move(text), "input", 0); });
}

}  // namespace dtrain::data::doors
