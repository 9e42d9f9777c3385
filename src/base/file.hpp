#pragma once
/// Files whole: read, written so that a crash leaves the old or the new one, never half.
/// Every failure is an Error of the kind that the caller names, with path and reason.

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace dtrain {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path, Kind kind);

/// Writes all bytes and fsyncs. Throws with Kind::environment (a full disk is told as such); no partial file is left.
void write_file(const fs::path& path, std::span<const std::byte> bytes);
void write_file(const fs::path& path, std::string_view text);

/// Writes beside `path`, syncs, renames over it and syncs the folder.
void replace_file(const fs::path& path, std::string_view text);

/// The same in pieces: `write` is given a function that appends bytes. Writers of one path do not disturb each other.
void replace_file(const fs::path& path,
                  const std::function<void(const std::function<void(std::span<const std::byte>)>& put)>& write);

/// mkdir -p; Kind::environment on failure.
void make_folder(const fs::path& path);
/// fsync of a folder, so that a rename in it is durable.
void sync_folder(const fs::path& path);

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace dtrain
