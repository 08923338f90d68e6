#include "data/text.h"

#include "data_test_files.h"

namespace backplane {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Labels = std::vector<std::int64_t>;
using Words = std::vector<std::string>;

const Labels& labels(const Samples& samples) {
  return std::get<Labels>(samples.targets);
}

class DataText : public DataFiles {
 protected:
  static DataSet load(const std::string& text, std::int64_t window, double test = 0, bool bytes = false) {
    write("a.txt", text);
    return load_text({{"a.txt"}, bytes, window, test, {Place{"run.yaml", 3, 9}, "data.test", ExitCode::bad_config}});
  }
  static std::string error(const std::string& text, std::int64_t window = 1, double test = 0, bool bytes = false) {
    return user_error([&] { load(text, window, test, bytes); });
  }
};

TEST_F(DataText, CutsWindowsWhoseLabelsAreTheNextUnits) {
  const DataSet data = load("abcabcabb", 3);  // the last b is only the label of the one before: two windows
  EXPECT_EQ(data.vocabulary, (Words{"a", "b", "c"}));
  EXPECT_EQ(data.classes, 3);
  EXPECT_EQ(data.input_shape, Shape{3});
  EXPECT_EQ(data.steps, 3);
  EXPECT_EQ(data.train.count, 2);
  EXPECT_EQ(data.train.labels_per_sample(), 3);
  EXPECT_EQ(std::get<Bytes>(data.train.inputs), (Bytes{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(labels(data.train), (Labels{1, 2, 0, 1, 2, 0}));
  EXPECT_FALSE(data.test);
  EXPECT_EQ(data.files, Words{"a.txt"});
  ASSERT_EQ(data.findings.size(), 1u);
  EXPECT_EQ(data.findings[0].name + ": " + in_short(data.findings[0]), "left_out_at_the_end: 2");
}

TEST_F(DataText, TestSplitIsTheEndOfTheText) {
  const DataSet data = load("abcdefghijk", 2, 0.4);  // five windows
  EXPECT_EQ(std::get<Bytes>(data.train.inputs), (Bytes{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(std::get<Bytes>(data.test->inputs), (Bytes{6, 7, 8, 9}));
  EXPECT_EQ(labels(*data.test), (Labels{7, 8, 9, 10}));
  EXPECT_EQ(data.test->count, 2);
  EXPECT_EQ(data.classes, 11) << "symbols of the test split count too";
}

TEST_F(DataText, CharactersAreCodePointsInTheirOrder) {
  const DataSet data = load("\uFEFFza\u00e9\u20ac\U0001F600a\u00e9", 3);
  EXPECT_EQ(data.vocabulary, (Words{"a", "z", "\u00e9", "\u20ac", "\U0001F600"}));
  EXPECT_EQ(std::get<Bytes>(data.train.inputs), (Bytes{1, 0, 2, 3, 4, 0}));
}

TEST_F(DataText, BytesHaveAFixedVocabulary) {
  const DataSet data = load("a\xff\n", 1, 0, true);
  EXPECT_EQ(data.classes, 256);
  EXPECT_EQ(std::get<Bytes>(data.train.inputs), (Bytes{'a', 0xff}));
  EXPECT_EQ(labels(data.train), (Labels{0xff, '\n'}));
  EXPECT_EQ(data.vocabulary['a'], "a");
  EXPECT_EQ(data.vocabulary[0xff], "\u00ff");
  EXPECT_EQ(data.vocabulary[0], std::string(1, '\0'));
}

TEST_F(DataText, MoreThan256SymbolsAreKeptAsFloats) {
  std::string text;
  for (int c = 0; c < 300; ++c) text += {static_cast<char>(0xC4 + c / 64), static_cast<char>(0x80 + c % 64)};
  const DataSet data = load(text, 50);
  EXPECT_EQ(data.classes, 300);
  EXPECT_EQ(data.train.count, 5);
  EXPECT_EQ(std::get<std::vector<float>>(data.train.inputs)[249], 249.0f);
  std::vector<float> row(50);
  data.gather_input(data.train, 4, row.data());
  EXPECT_EQ(row[49], 249.0f);
}

TEST_F(DataText, FilesFollowEachOtherPackedOrNot) {
  write("a.txt", "abc");
  write("b.txt.gz", gzip("\xEF\xBB\xBF"
                         "def"));
  const DataSet data = load_text({{"a.txt", "b.txt.gz"}, false, 1, 0, {}});
  EXPECT_EQ(data.vocabulary, (Words{"a", "b", "c", "d", "e", "f"}));
  EXPECT_EQ(labels(data.train), (Labels{1, 2, 3, 4, 5}));
  EXPECT_EQ(data.files, (Words{"a.txt", "b.txt.gz"}));
}

TEST_F(DataText, NamesTheByteThatIsNoUtf8) {
  const auto message = [](const std::string& at, const std::string& byte) {
    return "65 a.txt: error: byte " + at + " (counted from 0) begins no UTF-8 character: " + byte +
           "\n  hint: `unit: byte` takes any file; iconv turns other encodings into UTF-8";
  };
  EXPECT_EQ(error("caf\xe9 noir"), message("3", "e9"));          // Latin-1
  EXPECT_EQ(error("abc\x80"), message("3", "80"));               // a byte that only continues
  EXPECT_EQ(error("ab\xc0\xaf"), message("2", "c0"));            // '/' in more bytes than it takes
  EXPECT_EQ(error("ab\xed\xa0\x80"), message("2", "ed"));        // half of a surrogate pair
  EXPECT_EQ(error("ab\xf4\x90\x80\x80"), message("2", "f4"));    // beyond U+10FFFF
  EXPECT_EQ(error("\u00e9\u00e9\xe2\x82"), message("4", "e2"));  // the end of the file inside a character
  EXPECT_EQ(error("caf\xe9 noir", 1, 0, true), "");
}

TEST_F(DataText, RefusesTextsThatAreTooShort) {
  const auto message = [](const std::string& found) {
    return "65 a.txt: error: the text ends after " + found +
           "; two windows of 4 need 9\n  hint: a smaller window needs less text";
  };
  EXPECT_EQ(error("", 4), message("0 characters"));
  EXPECT_EQ(error("\u00e9bcdefgh", 4), message("8 characters"));
  EXPECT_EQ(error("abcdefgh", 4, 0, true), message("8 bytes"));
  EXPECT_EQ(error("abcdefghi", 4), "");
  EXPECT_EQ(error("aaaaaaaaa", 4), "65 a.txt: error: the text has one symbol only: there is nothing to predict");
}

TEST_F(DataText, RefusesSplitsWithoutWindow) {
  EXPECT_EQ(error("abcdefghij", 1, 0.01),
            "78 run.yaml:3:9: error: 0.01 of 9 windows leaves none for the test split\n  data.test\n"
            "  hint: 0 leaves the test split out; a smaller window gives more of them");
  EXPECT_NE(error("abcdefghij", 1, 0.99).find("leaves none for the training split"), std::string::npos);
}

TEST_F(DataText, NamesFilesThatCannotBeRead) {
  EXPECT_EQ(user_error([] {
              load_text({{"none.txt"}, false, 1, 0, {}});
            }),
            "66 none.txt: error: there is no such file");
  std::string packed = gzip("some text that is packed");
  for (std::size_t size = 1; size < packed.size(); ++size)
    EXPECT_EQ(error(packed.substr(0, size)).substr(0, 16), "65 a.txt: error:") << size;
  packed[packed.size() - 8] ^= 1;  // the first byte of the CRC
  EXPECT_EQ(error(packed),
            "65 a.txt: error: the gzip stream is damaged or ends early, or other bytes follow it\n"
            "  hint: `gzip -t` says which; where only zeros follow it, `zcat FILE | gzip` leaves them out");
}

TEST_F(DataText, StopsReadingWhatIsTooLarge) {
  write("a.txt", "");
  std::filesystem::resize_file("a.txt", static_cast<std::uintmax_t>(kMostText) + 1);  // takes no room on the disk
  const auto error = user_error([] { load_text({{"a.txt"}, true, 1, 0, {}}); });
  EXPECT_EQ(error, "65 a.txt: error: with this file the text exceeds the limit of 512 MiB");
}

}  // namespace
}  // namespace backplane
