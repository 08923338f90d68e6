# Files made to harm, and damaged bit by bit, given to what looks into files; traces of runs that were killed.
set(hostile_test "${BP_PYTHON}" "${CMAKE_CURRENT_LIST_DIR}/hostile_test.py" --program "$<TARGET_FILE:backplane>")
if(BP_SANITIZE)
  list(APPEND hostile_test --sanitized)
endif()
add_test(NAME fault_hostile COMMAND ${hostile_test})
add_test(NAME fault_killed_trace COMMAND "${BP_PYTHON}" "${CMAKE_CURRENT_LIST_DIR}/killed_trace_test.py" --program "$<TARGET_FILE:backplane>")
set_tests_properties(fault_hostile fault_killed_trace PROPERTIES LABELS fault)
add_test(NAME fault_hostile_long CONFIGURATIONS Long
  COMMAND ${hostile_test} --every-byte)
set_tests_properties(fault_hostile_long PROPERTIES LABELS fault-long TIMEOUT 7200)
