#pragma once

// What the tests of framework/data share: files in a folder of their own, and errors as text.

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/iostreams/device/back_inserter.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filtering_stream.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/error.h"

namespace backplane {

/// Gives each test a folder that is empty at its start and gone at its end; the test runs inside it, so that
/// messages name files without a folder.
class DataFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    before_ = std::filesystem::current_path();
    folder_ = std::filesystem::temp_directory_path() / ("backplane-data-" + std::to_string(getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    std::filesystem::current_path(folder_);
  }
  void TearDown() override {
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(folder_);
  }

  static void write(const std::string& name, const std::string& bytes) {
    std::ofstream(name, std::ios::binary | std::ios::trunc) << bytes;
  }
  static std::string read(const std::string& name) {
    std::ifstream file(name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::filesystem::path before_;
  std::filesystem::path folder_;
};

inline std::string gzip(const std::string& bytes) {
  std::string packed;
  boost::iostreams::filtering_ostream stream;
  stream.push(boost::iostreams::gzip_compressor());
  stream.push(boost::iostreams::back_inserter(packed));
  stream << bytes;
  stream.reset();
  return packed;
}

/// The message of the UserError that `action` throws, with its code: "65 file: error: …"; "" where there is none.
template <class F>
std::string user_error(F&& action) {
  try {
    action();
  } catch (const UserError& error) {
    return std::to_string(static_cast<int>(error.code())) + " " + error.what();
  }
  return {};
}

}  // namespace backplane
