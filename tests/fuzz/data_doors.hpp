#pragma once
/// What the fuzzers of the data readers run, and the unit test on their corpora: bytes in, rows or a data error out.

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "data/contents.hpp"
#include "data/csv_table.hpp"
#include "data/encoder.hpp"
#include "data/fit.hpp"
#include "data/idx.hpp"
#include "data/libsvm.hpp"
#include "data/npy.hpp"

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
bool try_rows(const std::string& bytes, job::Loss loss, job::Data data, Open open) {
  try {
    const Table table = open(unpack(Contents(bytes), "input"), data);
    job::Job job;
    job.model = model_for(loss);
    job.data = data;
    const Encoding encoding = fit(table, job, Selection::all(table.rows()));
    const std::size_t targets = encode_targets(table, encoding, true).size();
    if (encoding.width > 1'000'000) return true;  // a row of its own would exhaust the fuzzer's memory
    const Encoder encoder(table, encoding);
    std::vector<float> features(static_cast<std::size_t>(encoder.width()));
    for (Index row = 0; row < table.rows(); ++row) {
      encoder.encode(static_cast<std::uint32_t>(row), features.data());
      if (data.format == job::Format::mapped) continue;  // a block's numbers are its writer's, see data/table_form.cpp
      for (const float feature : features)
        if (!std::isfinite(feature)) throw Error(Kind::internal, "a row that is not finite was let in");
    }
    if (std::ssize(features) > 0 && static_cast<Index>(targets) != table.rows())
      throw Error(Kind::internal, "rows without targets");
    return true;
  } catch (const Error& error) {
    if (error.kind() != Kind::data) throw;
    return false;
  }
}

/// The same bytes are images and their labels: what fits as the one rarely fits as the other, but both are parsed.
inline bool try_idx(const std::string& bytes) {
  job::Data data;
  data.format = job::Format::idx;
  return try_rows(bytes, job::Loss::mean_squared_error, data, [](const Contents& contents, const job::Data&) {
    const NumberArray array = parse_idx(contents, "input", "input");
    return array_table({array}, {array}, "");
  });
}

/// The first byte chooses delimiter, header and how missing values are treated.
inline bool try_csv(const std::string& bytes) {
  if (bytes.empty()) return false;
  const auto choice = static_cast<unsigned char>(bytes[0]);
  const char* delimiters[] = {",", ";", "tab", "space"};
  job::Data data;
  data.format = job::Format::csv;
  job::Csv& csv = data.csv;
  csv.delimiter = delimiters[choice & 3];
  csv.header = (choice & 4) != 0;
  csv.missing = (choice & 8) != 0 ? job::Missing::mean : job::Missing::error;
  const auto loss = (choice & 16) != 0 ? job::Loss::mean_squared_error : job::Loss::softmax_cross_entropy;
  return try_rows(bytes.substr(1), loss, data, [](const Contents& contents, const job::Data& how) {
    return parse_csv({{"input", contents.bytes()}}, "", how, nullptr);
  });
}

inline bool try_libsvm(const std::string& bytes) {
  job::Data data;
  data.format = job::Format::libsvm;
  return try_rows(bytes, job::Loss::mean_squared_error, data, [](const Contents& contents, const job::Data&) {
    return parse_libsvm({{"input", contents.bytes()}}, "", {});
  });
}

/// The same array is rows and labels, as for idx.
inline bool try_npy(const std::string& bytes) {
  job::Data data;
  data.format = job::Format::npy;
  return try_rows(bytes, job::Loss::mean_squared_error, data, [](const Contents& contents, const job::Data&) {
    const bool archive = contents.bytes().starts_with("PK");
    const NumberArray array = parse_npy(archive ? npz_member(contents, "x", "input") : contents, "input", "input");
    return array_table({array}, {array}, "");
  });
}

inline bool try_table(const std::string& bytes) {
  job::Data data;
  data.format = job::Format::mapped;
  data.csv.missing = job::Missing::zero;
  return try_rows(bytes, job::Loss::mean_squared_error, data, [](const Contents& contents, const job::Data&) {
    return Table::from_bytes(std::string(contents.bytes()), "input");
  });
}

}  // namespace dtrain::data::doors
